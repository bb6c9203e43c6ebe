package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const failed = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n"

// unit and key in /etc/lab-gpus of each field; what is not listed there has a constant
var fields = map[string]struct{ key, unit, fallback string }{
	"index": {"index", "", ""}, "uuid": {"uuid", "", ""}, "gpu_uuid": {"uuid", "", ""}, "name": {"name", "", ""}, "gpu_name": {"name", "", ""},
	"memory.total": {"memory", " MiB", ""}, "memory.used": {"used", " MiB", "1"}, "memory.free": {"free", " MiB", ""}, "memory.reserved": {"", " MiB", "300"},
	"utilization.gpu": {"utilization", " %", "0"}, "utilization.memory": {"", " %", "0"},
	"power.draw": {"draw", " W", "21.40"}, "power.limit": {"limit", " W", "350.00"}, "power.default_limit": {"watts", " W", ""},
	"power.max_limit": {"watts", " W", ""}, "power.min_limit": {"", " W", "100.00"}, "enforced.power.limit": {"limit", " W", "350.00"},
	"temperature.gpu": {"temperature", "", "34"}, "driver_version": {"driver", "", driver}, "pci.bus_id": {"pci", "", ""}, "gpu_bus_id": {"pci", "", ""},
	"compute_cap": {"capability", "", "8.6"}, "persistence_mode": {"persistence", "", "Disabled"}, "compute_mode": {"", "", "Default"}, "pstate": {"", "", "P8"},
	"serial": {"", "", "[N/A]"}, "gpu_serial": {"", "", "[N/A]"}, "fan.speed": {"", " %", "0"}, "count": {"count", "", ""},
	"mig.mode.current": {"mig", "", "[N/A]"}, "ecc.errors.uncorrected.volatile.total": {"ecc", "", "[N/A]"}, "display_active": {"", "", "Disabled"}, "display_mode": {"", "", "Disabled"}, "ecc.mode.current": {"", "", "[N/A]"},
	"pcie.link.gen.max": {"", "", "4"}, "pcie.link.width.max": {"", "", "16"}, "pcie.link.gen.current": {"", "", "4"}, "pcie.link.width.current": {"width", "", "16"},
	"vbios_version": {"", "", "94.02.42.00.01"}, "clocks.sm": {"", " MHz", "210"}, "clocks.mem": {"", " MHz", "405"},
	"clocks_throttle_reasons.active": {"reasons", "", "0x0000000000000001"}, "clocks_event_reasons.active": {"reasons", "", "0x0000000000000001"},
	"timestamp": {"", "", "2026/01/01 00:00:00.000"},
}

func row(one card, query string, units bool) string {
	var cells []string
	for _, name := range strings.Split(query, ",") {
		field, known := fields[strings.TrimSpace(name)]
		if !known {
			fail(2, fmt.Sprintf("Field %q is not a valid field to query.\n", name))
		}
		value := one[field.key]
		if value == "" {
			value = field.fallback
		}
		if units && value != "[N/A]" {
			value += field.unit
		}
		cells = append(cells, value)
	}
	return strings.Join(cells, ", ")
}

func header(query string, units bool) string {
	var cells []string
	for _, name := range strings.Split(query, ",") {
		name = strings.TrimSpace(name)
		if unit := strings.TrimSpace(fields[name].unit); units && unit != "" {
			name += " [" + unit + "]"
		}
		cells = append(cells, name)
	}
	return strings.Join(cells, ", ")
}

func apps() (found []card) {
	data, _ := os.ReadFile(appsFile)
	for _, line := range strings.Split(string(data), "\n") {
		if words := strings.SplitN(line, ", ", 4); len(words) == 4 {
			found = append(found, card{"pid": words[0], "gpu_uuid": words[1], "used_memory": words[2], "process_name": words[3]})
		}
	}
	return
}

func appRow(one card, query string, units bool) string {
	var cells []string
	for _, name := range strings.Split(query, ",") {
		name = strings.TrimSpace(name)
		if alias, ok := map[string]string{"used_gpu_memory": "used_memory", "name": "process_name"}[name]; ok {
			name = alias
		}
		value := one[name]
		if name == "used_memory" && units {
			value += " MiB"
		}
		cells = append(cells, value)
	}
	return strings.Join(cells, ", ")
}

func selected(ids string) (found []card) {
	all := cards()
	for i, one := range all {
		total, _ := strconv.Atoi(one["memory"])
		used, _ := strconv.Atoi(one["used"])
		one["free"], one["count"] = strconv.Itoa(total-max(used, 1)-300), strconv.Itoa(len(all))
		if one["limit"] == "" {
			one["limit"] = one["watts"]
		}
		if ids == "" {
			found = append(found, all[i])
		}
	}
	for _, id := range strings.Split(ids, ",") {
		match := false
		for _, one := range all {
			if id != "" && (id == one["index"] || id == one["uuid"] || strings.EqualFold(id, one["pci"])) {
				match, found = true, append(found, one)
			}
		}
		if id != "" && !match {
			fail(6, "No devices were found")
		}
	}
	return
}

func smi(words []string) {
	given := map[string]string{}
	for i := 0; i < len(words); i++ {
		key, value, joined := strings.Cut(words[i], "=")
		if !joined && (key == "-i" || key == "-pl" || key == "-pm" || key == "--format" || key == "--id" || strings.HasPrefix(key, "--query-")) && i+1 < len(words) {
			i++
			value = words[i]
		}
		given[key] = value
	}
	if why, err := os.ReadFile(broken); err == nil {
		if len(why) == 0 {
			why = []byte(failed)
		}
		fail(9, string(why))
	}
	ids := given["-i"] + given["--id"]
	found := selected(ids)
	if len(found) == 0 {
		fail(6, "No devices were found")
	}
	units := !strings.Contains(given["--format"], "nounits")
	heading := !strings.Contains(given["--format"], "noheader")
	query, gpus := given["--query-gpu"], given["--query-compute-apps"]
	switch _, list := given["-L"]; {
	case list:
		for _, one := range found {
			fmt.Printf("GPU %s: %s (UUID: %s)\n", one["index"], one["name"], one["uuid"])
		}
	case query != "" || gpus != "":
		if !strings.Contains(given["--format"], "csv") {
			fail(2, "\"--format=\" switch is missing. Please run 'nvidia-smi -h' for help.\n")
		}
		if gpus != "" {
			if heading {
				fmt.Println(strings.NewReplacer("used_memory", "used_gpu_memory [MiB]").Replace(strings.ReplaceAll(gpus, ",", ", ")))
			}
			for _, one := range apps() {
				fmt.Println(appRow(one, gpus, units))
			}
			return
		}
		if heading {
			fmt.Println(header(query, units))
		}
		for _, one := range found {
			fmt.Println(row(one, query, units))
		}
	case given["-pl"] != "":
		limit(ids, given["-pl"])
	case len(words) > 0 && words[0] == "topo":
		topology(found)
	case given["-pm"] != "":
		keep(ids, "persistence", map[string]string{"1": "Enabled"}[given["-pm"]])
		fmt.Println("All done.")
	default:
		table(found)
	}
}

// limit refuses what is outside of a card's range, as the driver does
func limit(ids, watts string) {
	value, err := strconv.ParseFloat(watts, 64)
	if err != nil {
		fail(2, "Invalid power limit")
	}
	for _, one := range selected(ids) {
		most, _ := strconv.ParseFloat(one["watts"], 64)
		if value < 100 || value > most {
			fail(2, fmt.Sprintf("Provided power limit %.2f W is not a valid power limit which should be between 100.00 W and %.2f W for GPU %s\nTerminating early due to previous errors.", value, most, one["pci"]))
		}
		fmt.Printf("Power limit for GPU %s was set to %.2f W.\n", one["pci"], value)
	}
	keep(ids, "limit", fmt.Sprintf("%.2f", value))
}

// keep writes a setting into the cards' file; unlike the driver's, it outlives a boot
func keep(ids, setting, now string) {
	lines := ""
	for _, one := range cards() {
		for _, chosen := range selected(ids) {
			if chosen["uuid"] == one["uuid"] {
				one[setting] = now
			}
		}
		for key, value := range one {
			if key != "index" {
				lines += key + "=" + value + "\t"
			}
		}
		lines += "\n"
	}
	os.WriteFile(cardsFile, []byte(lines), 0o644)
}

func topology(found []card) {
	fmt.Print("\t")
	for _, one := range found {
		fmt.Printf("GPU%s\t", one["index"])
	}
	fmt.Println("CPU Affinity\tNUMA Affinity")
	for _, one := range found {
		fmt.Printf("GPU%s\t", one["index"])
		for _, other := range found {
			if one["index"] == other["index"] {
				fmt.Print(" X \t")
			} else {
				fmt.Print("PHB\t")
			}
		}
		fmt.Println("0-1\t0")
	}
}

func table(found []card) {
	bar := "+" + strings.Repeat("-", 89) + "+"
	fmt.Printf("%s\n| NVIDIA-SMI %-18s Driver Version: %-14s CUDA Version: 13.0     %8s|\n%s\n", bar, driver, driver, "", bar)
	for _, one := range found {
		fmt.Printf("| %3s  %-30s  %s  %6sMiB / %6sMiB |\n", one["index"], one["name"], one["pci"], row(one, "memory.used", false), one["memory"])
	}
	fmt.Println(bar)
}
