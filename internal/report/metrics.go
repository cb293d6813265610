package report

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/doctor"
	"natspread/internal/text"
)

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

// Metrics writes a status in Prometheus' text format, version 0.0.4.
func (s Status) Metrics() string {
	all := []metric{
		{"natspread_up", "gauge", "1 when rules of natspread are loaded, 0 when none are.", []sample{{"", boolean(s.State != NotLoaded)}}},
		{"natspread_state", "gauge", "1 for the state that natspread status shows, 0 for the others.", s.stateSamples()},
		{"natspread_findings", "gauge", "How many findings of a severity natspread status shows.", s.findingSamples()},
		{"natspread_generation", "gauge", "The generation that boot loads, 0 for none.", []sample{{"", float64(s.Generation)}}},
		{"natspread_unapplied", "gauge", "1 when the config has changes that are not applied, 0 when it has none.", []sample{{"", boolean(s.Unapplied)}}},
	}
	if s.Unit != doctor.NoSystemd {
		unit := sample{fmt.Sprintf("{state=%s}", text.Quoted(string(s.Unit))), 1}
		all = append(all, metric{"natspread_unit", "gauge", "1 for the state of natspread.service.", []sample{unit}})
	}
	if s.Applied != nil {
		made := sample{"", float64(s.Applied.Unix())}
		all = append(all, metric{"natspread_applied_timestamp_seconds", "gauge", "When the generation was made that the kernel is to hold.", []sample{made}})
	}
	version := sample{fmt.Sprintf("{version=%s}", text.Quoted(s.Version)), 1}
	all = append(all, metric{"natspread_build_info", "gauge", "1, with the version of natspread.", []sample{version}})
	var written strings.Builder
	for _, m := range append(all, backendMetrics(s.Services)...) {
		fmt.Fprintf(&written, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, sample := range m.samples {
			fmt.Fprintf(&written, "%s%s %s\n", m.name, sample.labels, strconv.FormatFloat(sample.value, 'g', -1, 64))
		}
	}
	return written.String()
}

// WriteMetrics writes a status into a file for node_exporter's textfile collector, which is
// not root and must never see half of it. What stands there and is no file, such as a link
// to a terminal, is not replaced.
func (s Status) WriteMetrics(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot write %s: it is there, and is no regular file: --prometheus - is standard output", path)
	}
	return atomicfile.WriteFile(path, []byte(s.Metrics()), 0o644)
}

// boolean returns 1 or 0.
func boolean(fact bool) float64 {
	if fact {
		return 1
	}
	return 0
}

// stateSamples returns a sample for each state.
func (s Status) stateSamples() []sample {
	var samples []sample
	for _, state := range []State{InSync, Drift, Impaired, NotLoaded} {
		samples = append(samples, sample{fmt.Sprintf("{state=%s}", text.Quoted(string(state))), boolean(s.State == state)})
	}
	return samples
}

// findingSamples returns a sample for each severity.
func (s Status) findingSamples() []sample {
	counts := map[doctor.Severity]int{}
	for _, f := range s.Findings {
		counts[f.Severity]++
	}
	var samples []sample
	for _, severity := range []doctor.Severity{doctor.Broken, doctor.AtBoot, doctor.Risk} {
		samples = append(samples, sample{fmt.Sprintf("{severity=%s}", text.Quoted(string(severity))), float64(counts[severity])})
	}
	return samples
}

// backendMetrics returns those that each backend has a sample of.
func backendMetrics(services []Service) []metric {
	connections := metric{name: "natspread_backend_connections_total", kind: "counter", help: "New connections that a backend got since its service's chain was last loaded."}
	live := metric{name: "natspread_backend_live_connections", kind: "gauge", help: "Connections that are open at a backend now, by connection tracking."}
	wanted := metric{name: "natspread_backend_wanted_ratio", kind: "gauge", help: "The share of new connections that a backend is to get, 0 to 1."}
	for _, service := range services {
		for _, backend := range service.Backends {
			labels := fmt.Sprintf("{service=%s,backend=%s}", text.Quoted(service.Name), text.Quoted(backend.Address))
			connections.samples = append(connections.samples, sample{labels, float64(backend.Connections)})
			wanted.samples = append(wanted.samples, sample{labels, backend.WantedShare})
			if backend.Live != nil {
				live.samples = append(live.samples, sample{labels, float64(*backend.Live)})
			}
		}
	}
	return []metric{connections, live, wanted}
}
