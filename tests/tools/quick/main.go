// quick is a stub engine that costs next to nothing, and a client that costs little:
//
//	quick serve PORT            answers every POST with a small chat completion; a body with "stream":true
//	                            gets one token at once, 9 more 20 ms apart, and a closed connection
//	quick load ADDRESS CLIENTS SECONDS KEY     requests on kept connections: p50 and p95 in ms, requests a second
//	quick first ADDRESS CLIENTS SECONDS KEY    streams: p50 of the time to the first token in ms
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

const answer = `{"id":"x","object":"chat.completion","created":1,"model":"chat","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}]}`
const token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
const question = `{"messages":[{"role":"user","content":"` + "What is the capital of France? Answer in one word, please, and nothing else at all." + `"}],"model":"chat"%s}`

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2])
		return
	}
	clients, _ := strconv.Atoi(os.Args[3])
	seconds, _ := strconv.ParseFloat(os.Args[4], 64)
	measure(os.Args[1] == "first", os.Args[2], clients, time.Duration(seconds*float64(time.Second)), os.Args[5])
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// readMessage reads a head and the body that its content-length announces; a chunked body only up to its first line.
func readMessage(reader *bufio.Reader) (head string, body []byte, err error) {
	var lines strings.Builder
	length := 0
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return "", nil, err
		}
		if line == "\r\n" {
			break
		}
		if lower := strings.ToLower(line); strings.HasPrefix(lower, "content-length:") {
			length, _ = strconv.Atoi(strings.TrimSpace(lower[15:]))
		}
		lines.WriteString(line)
	}
	body = make([]byte, length)
	for read := 0; read < length; {
		n, err := reader.Read(body[read:])
		if err != nil {
			return "", nil, err
		}
		read += n
	}
	return lines.String(), body, nil
}

func serve(port string) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	must(err)
	for {
		connection, err := listener.Accept()
		must(err)
		go converse(connection)
	}
}

func converse(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	whole := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len(answer), answer))
	for {
		head, body, err := readMessage(reader)
		if err != nil {
			return
		}
		if bytes.Contains(body, []byte(`"stream":true`)) {
			stream(connection)
			return
		}
		if _, err := connection.Write(whole); err != nil || strings.Contains(strings.ToLower(head), "connection: close") {
			return
		}
	}
}

func stream(connection net.Conn) {
	fmt.Fprint(connection, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
	for number := 0; number < 10; number++ {
		if number > 0 {
			time.Sleep(20 * time.Millisecond)
		}
		fmt.Fprintf(connection, "%x\r\n%s\r\n", len(token), token)
	}
	fmt.Fprint(connection, "0\r\n\r\n")
}

func measure(streams bool, address string, clients int, span time.Duration, key string) {
	var group sync.WaitGroup
	times := make([][]float64, clients)
	start := time.Now()
	for number := range times {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Since(start) < span {
				times[number] = append(times[number], talk(streams, address, start, span, key)...)
			}
		}()
	}
	group.Wait()
	var all []float64
	for _, some := range times {
		all = append(all, some...)
	}
	sort.Float64s(all)
	out := map[string]any{"requests": len(all), "p50_ms": all[len(all)/2], "p95_ms": all[len(all)*95/100], "rate": float64(len(all)) / time.Since(start).Seconds()}
	must(json.NewEncoder(os.Stdout).Encode(out))
}

// talk asks on one connection: until the time is over, or one stream.
func talk(streams bool, address string, start time.Time, span time.Duration, key string) (times []float64) {
	connection, err := net.Dial("tcp", address)
	must(err)
	defer connection.Close()
	reader := bufio.NewReader(connection)
	extra := ""
	if streams {
		extra = `,"stream":true`
	}
	body := fmt.Sprintf(question, extra)
	request := []byte(fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", key, len(body), body))
	for time.Since(start) < span {
		asked := time.Now()
		_, err := connection.Write(request)
		must(err)
		head, _, err := readMessage(reader)
		must(err)
		if !strings.HasPrefix(head, "HTTP/1.1 200") {
			must(fmt.Errorf("not answered: %s", head))
		}
		if streams {
			for line := ""; !strings.HasPrefix(line, "data: "); {
				line, err = reader.ReadString('\n')
				must(err)
			}
		}
		times = append(times, time.Since(asked).Seconds()*1000)
		if streams {
			for line := ""; line != "0\r\n"; {
				line, err = reader.ReadString('\n')
				must(err)
			}
			return times
		}
	}
	return times
}
