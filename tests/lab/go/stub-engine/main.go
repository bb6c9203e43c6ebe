// stub-engine speaks enough of llama-server's HTTP to stand in for it: chat with and without stream, models, health,
// metrics and props. It parses HTTP itself: a benchmark of a gateway must not measure the engine behind it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var (
	options = map[string]string{"--host": "0.0.0.0", "--port": "8080", "-c": "4096", "-np": "1",
		"--alias": "stub", "-m": "", "--tokens": "16", "--delay-ms": "0", "--load-ms": "0", "--tally": "", "--fault": ""}
	aliases = map[string]string{"--ctx-size": "-c", "--parallel": "-np", "--model": "-m", "-a": "--alias"}
	flags   = map[string]bool{"--metrics": false, "--fail": false}

	tokens, slots, context int
	word                   = "word "
	fault                  string // never-ready, silent, cut-streams, other-model, exits, out-of-memory, out-of-memory-asked
	delay                  time.Duration
	readyAt                time.Time
	running, prompts, made atomic.Int64
	chatAnswer             []byte
)

func parse(words []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if known, ok := aliases[word]; ok {
			word = known
		}
		if _, ok := flags[word]; ok {
			flags[word] = true
		} else if i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
			options[word] = words[i+1]
			i++
		}
	}
	for key, variable := range map[string]string{"--host": "LLAMA_ARG_HOST", "--port": "LLAMA_ARG_PORT", "--tokens": "STUB_TOKENS",
		"--delay-ms": "STUB_DELAY_MS", "--load-ms": "STUB_LOAD_MS"} {
		if value := os.Getenv(variable); value != "" && !contains(words, key) {
			options[key] = value
		}
	}
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

func number(key string) int {
	value, err := strconv.Atoi(options[key])
	if err != nil {
		log.Fatalf("%s: not a number: %q", key, options[key])
	}
	return value
}

func answer(status int, kind string, body []byte) []byte {
	names := map[int]string{200: "OK", 404: "Not Found", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable"}
	return append([]byte(fmt.Sprintf("HTTP/1.1 %d %s\r\nServer: llama.cpp\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		status, names[status], kind, len(body))), body...)
}

func failure(status int, kind, message string) []byte {
	return answer(status, "application/json; charset=utf-8",
		[]byte(fmt.Sprintf(`{"error":{"code":%d,"message":%q,"type":%q}}`, status, message, kind)))
}

func ok(value any) []byte { return answer(200, "application/json; charset=utf-8", encoded(value)) }

func encoded(value any) []byte {
	body, _ := json.Marshal(value)
	return body
}

type object = map[string]any

func completion() []byte {
	return ok(object{"id": "chatcmpl-stub", "object": "chat.completion", "created": 1767225600, "model": options["--alias"],
		"choices": []object{{"index": 0, "finish_reason": "stop",
			"message": object{"role": "assistant", "content": strings.TrimSpace(strings.Repeat(word, tokens))}}},
		"usage":   object{"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens},
		"timings": object{"predicted_n": tokens, "predicted_per_second": 1000.0}})
}

func chunk(delta object, finish any) []byte {
	body, _ := json.Marshal(object{"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1767225600,
		"model": options["--alias"], "choices": []object{{"index": 0, "delta": delta, "finish_reason": finish}}})
	return framed(append(append([]byte("data: "), body...), "\n\n"...))
}

func framed(data []byte) []byte { return []byte(fmt.Sprintf("%x\r\n%s\r\n", len(data), data)) }

// stream ends the connection after a streamed answer, as llama-server does
func stream(connection net.Conn) {
	head := "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	write := func(data []byte) bool { _, err := connection.Write(data); return err == nil }
	if !write(append([]byte(head), chunk(object{"role": "assistant", "content": nil}, nil)...)) {
		return
	}
	for i := 0; i < tokens; i++ {
		if delay > 0 {
			time.Sleep(delay)
		}
		if !write(chunk(object{"content": word}, nil)) || (fault == "cut-streams" && i == 2) {
			return
		}
		made.Add(1)
	}
	write(chunk(object{}, "stop"))
	write(append(framed([]byte("data: [DONE]\n\n")), "0\r\n\r\n"...))
}

// loaded is where the model came from, by its own word
func loaded() string {
	if fault == "other-model" {
		return "/models/another.gguf"
	}
	return options["-m"]
}

// outOfMemory ends as llama-server does when a card has no room
func outOfMemory() {
	log.Fatal("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 23456.00 MiB on device 0: cudaMalloc failed: out of memory")
}

func metrics() []byte {
	if !flags["--metrics"] {
		return failure(501, "not_supported_error", "This server does not support metrics endpoint. Start it with `--metrics`")
	}
	busy := running.Load()
	processing, deferred := min(busy, int64(slots)), max(busy-int64(slots), 0)
	var out bytes.Buffer
	for _, m := range []struct {
		name, kind string
		value      int64
	}{{"prompt_tokens_total", "counter", prompts.Load()}, {"tokens_predicted_total", "counter", made.Load()},
		{"requests_processing", "gauge", processing}, {"requests_deferred", "gauge", deferred}} {
		fmt.Fprintf(&out, "# HELP llamacpp:%s stub\n# TYPE llamacpp:%s %s\nllamacpp:%s %d\n", m.name, m.name, m.kind, m.name, m.value)
	}
	return answer(200, "text/plain; version=0.0.4", out.Bytes())
}

func chat(connection net.Conn, body []byte) (keep bool) {
	running.Add(1)
	defer running.Add(-1)
	prompts.Add(8)
	if fault == "out-of-memory-asked" {
		outOfMemory()
	}
	if found := numbered.FindSubmatch(body); found != nil {
		return answerNumber(connection, body, found)
	}
	if bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`)) {
		stream(connection)
		return false
	}
	if delay > 0 {
		time.Sleep(delay * time.Duration(tokens))
	}
	made.Add(int64(tokens))
	_, err := connection.Write(chatAnswer)
	return err == nil
}

func route(connection net.Conn, method, path string, body []byte) (keep bool) {
	if cut := strings.IndexByte(path, '?'); cut >= 0 {
		path = path[:cut]
	}
	var reply []byte
	loading := time.Now().Before(readyAt)
	switch {
	case flags["--fail"]:
		reply = failure(500, "server_error", "asked to fail")
	case loading || fault == "never-ready":
		reply = failure(503, "unavailable_error", "Loading model")
	case path == "/health":
		reply = ok(object{"status": "ok"})
	case method == "POST" && (path == "/v1/chat/completions" || path == "/chat/completions"):
		return chat(connection, body)
	case path == "/v1/models" || path == "/models":
		reply = ok(object{"object": "list", "data": []object{{"id": options["--alias"], "object": "model", "created": 1767225600, "owned_by": "llamacpp"}}})
	case path == "/metrics":
		reply = metrics()
	case path == "/props":
		reply = ok(object{"default_generation_settings": object{"n_ctx": context / slots}, "total_slots": slots,
			"model_path": loaded(), "n_ctx": context, "is_sleeping": false, "build_info": "stub"})
	default:
		reply = failure(404, "not_found_error", "File Not Found")
	}
	_, err := connection.Write(reply)
	return err == nil
}

// read returns one request; a body may come with a length or in chunks
func read(in *bufio.Reader, buffer []byte) (method, path string, body []byte, closing bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return
	}
	words := strings.Fields(string(line))
	if len(words) < 3 {
		return "", "", nil, true, io.ErrUnexpectedEOF
	}
	method, path = words[0], words[1]
	length, chunked := 0, false
	for {
		line, err = in.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			break
		}
		if len(line) > 15 && (line[0]|32 == 'c' || line[0]|32 == 't') {
			lower := bytes.ToLower(bytes.TrimSpace(line))
			if value, found := bytes.CutPrefix(lower, []byte("content-length:")); found {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			} else if bytes.HasPrefix(lower, []byte("transfer-encoding:")) {
				chunked = bytes.HasSuffix(lower, []byte("chunked"))
			} else if bytes.HasPrefix(lower, []byte("connection:")) {
				closing = bytes.HasSuffix(lower, []byte("close"))
			}
		}
	}
	for chunked && err == nil {
		line, err = in.ReadSlice('\n')
		size, bad := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if bad != nil {
			return method, path, nil, true, bad
		}
		part := make([]byte, size+2)
		_, err = io.ReadFull(in, part)
		if body = append(body, part[:size]...); size == 0 {
			return
		}
	}
	if length > 0 && err == nil {
		if body = buffer; length > len(buffer) {
			body = make([]byte, length)
		}
		body = body[:length]
		_, err = io.ReadFull(in, body)
	}
	return
}

func serve(connection net.Conn) {
	defer connection.Close()
	in, buffer := bufio.NewReaderSize(connection, 16384), make([]byte, 4096)
	for {
		method, path, body, closing, err := read(in, buffer)
		if err != nil || !route(connection, method, path, body) || closing {
			return
		}
	}
}

func main() {
	parse(os.Args[1:])
	switch fault = options["--fault"]; fault {
	case "silent":
		word = ""
	case "exits":
		log.Fatal("asked to exit at the start")
	case "out-of-memory":
		outOfMemory()
	}
	tokens, slots, context = number("--tokens"), max(number("-np"), 1), number("-c")
	delay = time.Duration(number("--delay-ms")) * time.Millisecond
	readyAt = time.Now().Add(time.Duration(number("--load-ms")) * time.Millisecond)
	chatAnswer = completion()
	listener, err := net.Listen("tcp", net.JoinHostPort(options["--host"], options["--port"]))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("stub-engine: %s on %s", options["--alias"], listener.Addr())
	time.AfterFunc(time.Until(readyAt), func() { log.Print("model loaded") })
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}
