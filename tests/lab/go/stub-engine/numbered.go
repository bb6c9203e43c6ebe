package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A question that says "number N pause MS" is answered with max_tokens pieces "N.1 N.2 ...", one each MS milliseconds:
// whoever asked sees whether one is missing, doubled, or somebody else's. With --tally ADDRESS each such question is
// told to whoever listens there, before its first byte is answered and after its last: "HOST N begun", "HOST N ended".
var (
	numbered = regexp.MustCompile(`number (\d+) pause (\d+)`)
	wanted   = regexp.MustCompile(`"max_tokens": ?(\d+)`)
	host, _  = os.Hostname()
	instance = fmt.Sprintf("%s-%x", host, time.Now().UnixNano())

	tallying sync.Mutex
	taker    net.Conn
)

// tell says one line to the tally; false: nobody takes it
func tell(number int, what string) bool {
	if options["--tally"] == "" {
		return true
	}
	tallying.Lock()
	defer tallying.Unlock()
	line := []byte(fmt.Sprintf("%s %d %s\n", host, number, what))
	for try := 0; try < 2; try++ {
		if taker == nil {
			var err error
			if taker, err = net.DialTimeout("tcp", options["--tally"], 5*time.Second); err != nil {
				taker = nil
				return false
			}
		}
		if _, err := taker.Write(line); err == nil {
			return true
		}
		taker.Close()
		taker = nil
	}
	return false
}

func piece(number, place int) string { return fmt.Sprintf("%d.%d ", number, place) }

func answerNumber(connection net.Conn, body []byte, found [][]byte) (keep bool) {
	number, _ := strconv.Atoi(string(found[1]))
	milliseconds, _ := strconv.Atoi(string(found[2]))
	count, pause := tokens, time.Duration(milliseconds)*time.Millisecond
	if asked := wanted.FindSubmatch(body); asked != nil {
		count, _ = strconv.Atoi(string(asked[1]))
	}
	if !tell(number, "begun") {
		connection.Write(failure(500, "server_error", "nobody takes the tally"))
		return false
	}
	id := fmt.Sprintf("chatcmpl-%s-%d", instance, number)
	usage := object{"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
	var done bool
	if bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`)) {
		done = streamNumber(connection, number, count, pause, id, usage)
	} else {
		var text strings.Builder
		for place := 1; place <= count; place++ {
			text.WriteString(piece(number, place))
		}
		time.Sleep(pause * time.Duration(count))
		made.Add(int64(count))
		_, err := connection.Write(ok(object{"id": id, "object": "chat.completion", "created": 1767225600, "model": options["--alias"],
			"choices": []object{{"index": 0, "finish_reason": "stop", "message": object{"role": "assistant", "content": text.String()}}},
			"usage":   usage}))
		done, keep = err == nil, err == nil
	}
	if done {
		tell(number, "ended")
	}
	return keep
}

func streamNumber(connection net.Conn, number, count int, pause time.Duration, id string, usage object) bool {
	event := func(choices []object, more object) []byte {
		value := object{"id": id, "object": "chat.completion.chunk", "created": 1767225600, "model": options["--alias"], "choices": choices}
		for key, one := range more {
			value[key] = one
		}
		return framed(append(append([]byte("data: "), encoded(value)...), "\n\n"...))
	}
	delta := func(text string) []byte {
		return event([]object{{"index": 0, "delta": object{"content": text}, "finish_reason": nil}}, nil)
	}
	head := "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	parts := [][]byte{[]byte(head)}
	for place := 1; place <= count; place++ {
		parts = append(parts, delta(piece(number, place)))
	}
	parts = append(parts, event([]object{{"index": 0, "delta": object{}, "finish_reason": "stop"}}, nil),
		event([]object{}, object{"usage": usage}), framed([]byte("data: [DONE]\n\n")), []byte("0\r\n\r\n"))
	for at, part := range parts {
		if at > 0 && at <= count {
			time.Sleep(pause)
			made.Add(1)
		}
		if _, err := connection.Write(part); err != nil {
			return false
		}
	}
	return true
}
