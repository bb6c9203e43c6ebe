// nvidia stands in for NVIDIA's programs, by the name it is called with: nvidia-smi, nvidia-ctk, the container runtime
// and its hook. The cards are the lines of /etc/lab-gpus: key=value fields separated by tabs.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	driver    = "580.95.05"
	cardsFile = "/etc/lab-gpus"
	appsFile  = "/etc/lab-gpu-apps"
	broken    = "/etc/lab-gpu-broken" // what it says of why, empty: that it cannot talk to the driver
	absent    = "/etc/lab-gpu-absent" // UUIDs, one a line: silently missing in containers that ask for them
)

type card map[string]string

func cards() (found []card) {
	data, _ := os.ReadFile(cardsFile)
	for _, line := range strings.Split(string(data), "\n") {
		one := card{}
		for _, field := range strings.Split(line, "\t") {
			if key, value, ok := strings.Cut(field, "="); ok {
				one[key] = value
			}
		}
		if len(one) > 0 {
			one["index"] = fmt.Sprint(len(found))
			found = append(found, one)
		}
	}
	return
}

func fail(code int, message string) {
	fmt.Println(message)
	os.Exit(code)
}

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "nvidia-container-runtime-hook":
		hook(os.Args[1:])
	case "nvidia-container-runtime":
		runtime(os.Args[1:])
	case "nvidia-ctk":
		ctk(os.Args[1:])
	default:
		smi(os.Args[1:])
	}
}

// hook is called by runc before the container starts; like the original it puts nvidia-smi and the chosen cards inside
func hook(words []string) {
	if len(words) == 0 || words[len(words)-1] != "prestart" {
		return
	}
	var state struct {
		Bundle string `json:"bundle"`
	}
	var config struct {
		Root    struct{ Path string }  `json:"root"`
		Process struct{ Env []string } `json:"process"`
	}
	if json.NewDecoder(os.Stdin).Decode(&state) != nil || state.Bundle == "" {
		fail(1, "nvidia-container-cli: no container state")
	}
	data, err := os.ReadFile(filepath.Join(state.Bundle, "config.json"))
	if err != nil || json.Unmarshal(data, &config) != nil {
		fail(1, "nvidia-container-cli: no container configuration")
	}
	wanted := ""
	for _, variable := range config.Process.Env {
		if value, ok := strings.CutPrefix(variable, "NVIDIA_VISIBLE_DEVICES="); ok {
			wanted = value
		}
	}
	if wanted == "" || wanted == "void" || wanted == "none" {
		return
	}
	if _, err := os.Stat(broken); err == nil || len(cards()) == 0 {
		fmt.Fprintln(os.Stderr, "nvidia-container-cli: initialization error: nvml error: driver not loaded")
		os.Exit(1)
	}
	root := config.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(state.Bundle, root)
	}
	lines := ""
	for _, id := range strings.Split(wanted, ",") {
		lines += chosen(id)
	}
	os.MkdirAll(filepath.Join(root, "etc"), 0o755)
	os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755)
	os.WriteFile(filepath.Join(root, cardsFile), []byte(lines), 0o644)
	for _, source := range []string{"/usr/bin/nvidia-smi"} {
		if program, err := os.ReadFile(source); err == nil {
			os.WriteFile(filepath.Join(root, source), program, 0o755)
		}
	}
}

func chosen(id string) (lines string) {
	known := false
	missing, _ := os.ReadFile(absent)
	for _, one := range cards() {
		if id == "all" || id == one["index"] || id == one["uuid"] {
			known = true
			if strings.Contains(string(missing), one["uuid"]) {
				continue
			}
			for key, value := range one {
				if key != "index" {
					lines += key + "=" + value + "\t"
				}
			}
			lines += "\n"
		}
	}
	if !known {
		fmt.Fprintf(os.Stderr, "nvidia-container-cli: device error: %s: unknown device\n", id)
		os.Exit(1)
	}
	return
}

// runtime is runc with the hook added where the container asks for cards
func runtime(words []string) {
	bundle, create := ".", false
	for i, word := range words {
		create = create || word == "create" || word == "run"
		if (word == "--bundle" || word == "-b") && i+1 < len(words) {
			bundle = words[i+1]
		}
	}
	path := filepath.Join(bundle, "config.json")
	if data, err := os.ReadFile(path); create && err == nil {
		config := map[string]any{}
		if json.Unmarshal(data, &config) == nil && strings.Contains(string(data), `"NVIDIA_VISIBLE_DEVICES=`) {
			hooks, _ := config["hooks"].(map[string]any)
			if hooks == nil {
				hooks = map[string]any{}
			}
			program := "/usr/bin/nvidia-container-runtime-hook"
			first, _ := hooks["prestart"].([]any)
			if there, _ := json.Marshal(first); !strings.Contains(string(there), program) {
				hooks["prestart"] = append(first, map[string]any{"path": program, "args": []string{program, "prestart"}})
				config["hooks"] = hooks
				data, _ = json.Marshal(config)
				os.WriteFile(path, data, 0o644)
			}
		}
	}
	for _, program := range []string{"/usr/bin/runc", "/usr/sbin/runc"} {
		if _, err := os.Stat(program); err == nil {
			syscall.Exec(program, append([]string{"runc"}, words...), os.Environ())
		}
	}
	fail(1, "runc not found")
}

// ctk merges the runtime into daemon.json, as the original does, and lists devices for CDI
func ctk(words []string) {
	line := strings.Join(words, " ")
	value := func(flag, fallback string) string {
		for i, word := range words {
			if rest, ok := strings.CutPrefix(word, flag+"="); ok {
				return rest
			} else if word == flag && i+1 < len(words) {
				return words[i+1]
			}
		}
		return fallback
	}
	switch {
	case strings.HasPrefix(line, "runtime configure"):
		path := value("--config", "/etc/docker/daemon.json")
		config := map[string]any{}
		if data, err := os.ReadFile(path); err == nil && len(data) > 0 {
			if json.Unmarshal(data, &config) != nil {
				fail(1, "unable to load config: invalid JSON in "+path)
			}
		}
		runtimes, _ := config["runtimes"].(map[string]any)
		if runtimes == nil {
			runtimes = map[string]any{}
		}
		runtimes["nvidia"] = map[string]any{"args": []any{}, "path": "nvidia-container-runtime"}
		config["runtimes"] = runtimes
		if strings.Contains(line, "--set-as-default") {
			config["default-runtime"] = "nvidia"
		}
		data, _ := json.MarshalIndent(config, "", "    ")
		if strings.Contains(line, "--dry-run") {
			fmt.Println(string(data))
			return
		}
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			fail(1, err.Error())
		}
		fmt.Fprintf(os.Stderr, "level=info msg=\"Wrote updated config to %s\"\n", path)
	case strings.HasPrefix(line, "cdi list"):
		for _, one := range cards() {
			fmt.Printf("nvidia.com/gpu=%s\nnvidia.com/gpu=%s\n", one["index"], one["uuid"])
		}
		fmt.Println("nvidia.com/gpu=all")
	case strings.Contains(line, "version"):
		fmt.Println("NVIDIA Container Toolkit CLI version 1.18.0")
	default:
		io.WriteString(os.Stderr, "nvidia-ctk: the stand-in does not know: "+line+"\n")
		os.Exit(1)
	}
}
