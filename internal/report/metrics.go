package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/restore"
)

// writeMetrics writes a status into a file for node_exporter's textfile collector,
// which must never see half of it. What stands there and is no file, such as a link
// to a terminal, is not replaced.
func writeMetrics(path string, result statusResult) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot write %s: it is there, and is no regular file: --prometheus - is standard output", path)
	}
	return atomicfile.WriteFile(path, []byte(metrics(result)), 0o644) // the collector is not root
}

// metric is one of Prometheus: what it is, and its samples.
type metric struct {
	name, kind, help string
	samples          []sample
}

// sample is one value of a metric, with its labels if it has any.
type sample struct {
	labels string
	value  float64
}

// metrics writes a status in Prometheus' text format, version 0.0.4.
func metrics(result statusResult) string {
	up := 1.0
	if result.State == restore.NotLoaded {
		up = 0
	}
	all := []metric{
		{"natspread_up", "gauge", "1 when rules of natspread are loaded, 0 when none are.", []sample{{"", up}}},
		{"natspread_drift", "gauge", "How many things are not as they should be: natspread status names them.", []sample{{"", float64(len(result.Drifts))}}},
		{"natspread_generation", "gauge", "The generation that boot loads, 0 for none.", []sample{{"", float64(result.Generation)}}},
	}
	var text strings.Builder
	for _, m := range append(all, backendMetrics(result.Services)...) {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, sample := range m.samples {
			fmt.Fprintf(&text, "%s%s %s\n", m.name, sample.labels, strconv.FormatFloat(sample.value, 'g', -1, 64))
		}
	}
	return text.String()
}

// backendMetrics returns those that each backend has a sample of.
func backendMetrics(services []serviceStatus) []metric {
	connections := metric{name: "natspread_connections_total", kind: "counter", help: "New connections that a backend got since its service's chain was last loaded."}
	live := metric{name: "natspread_live_connections", kind: "gauge", help: "Connections that are open at a backend now, by connection tracking."}
	wanted := metric{name: "natspread_wanted_share", kind: "gauge", help: "The share of new connections that a backend is to get, 0 to 1."}
	for _, service := range services {
		for _, backend := range service.Backends {
			labels := fmt.Sprintf("{service=%s,backend=%s}", labelValue(service.Name), labelValue(backend.Address))
			connections.samples = append(connections.samples, sample{labels, float64(backend.Connections)})
			wanted.samples = append(wanted.samples, sample{labels, backend.Wanted})
			if backend.Live != nil {
				live.samples = append(live.samples, sample{labels, float64(*backend.Live)})
			}
		}
	}
	return []metric{connections, live, wanted}
}

// labelValue quotes the value of a label.
func labelValue(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
