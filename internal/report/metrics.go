package report

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/doctor"
	"natspread/internal/health"
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
		gauge("natspread_up", "1 when rules of natspread are loaded, 0 when none are.", "", boolean(s.State != NotLoaded)),
		{"natspread_state", "gauge", "1 for the state that natspread status shows, 0 for the others.", s.stateSamples()},
		{"natspread_findings", "gauge", "How many findings of a severity natspread status shows.", s.findingSamples()},
		gauge("natspread_generation", "The generation that boot loads, 0 for none.", "", float64(s.Generation)),
		gauge("natspread_unapplied", "1 when the config has changes that are not applied, 0 when it has none.", "", boolean(s.Unapplied)),
	}
	if s.Unit != doctor.NoSystemd {
		all = append(all, gauge("natspread_unit", "1 for the state of natspread.service.", fmt.Sprintf("{state=%s}", text.Quoted(string(s.Unit))), 1))
	}
	if s.Applied != nil {
		all = append(all, gauge("natspread_applied_timestamp_seconds", "When the generation was made that the kernel is to hold.", "", float64(s.Applied.Unix())))
	}
	all = append(all, gauge("natspread_build_info", "1, with the version of natspread.", fmt.Sprintf("{version=%s}", text.Quoted(s.Version)), 1))
	all = slices.Concat(all, watcherMetrics(s.Watcher), serviceMetrics(s.Services), backendMetrics(s.Services), checkMetrics(s.Services))
	var written strings.Builder
	for _, m := range all {
		if len(m.samples) > 0 {
			m.write(&written)
		}
	}
	return written.String()
}

// gauge returns a metric that has one sample.
func gauge(name, help, labels string, value float64) metric {
	return metric{name, "gauge", help, []sample{{labels, value}}}
}

// write writes the metric with its samples.
func (m metric) write(written *strings.Builder) {
	fmt.Fprintf(written, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
	for _, sample := range m.samples {
		for _, part := range []string{m.name, sample.labels, " ", strconv.FormatFloat(sample.value, 'g', -1, 64), "\n"} {
			written.WriteString(part)
		}
	}
}

// Metrics reads a host and writes its metrics, for natspread health, which says whether it runs
// on: at its end it still holds its lock.
func (h Host) Metrics(ctx context.Context, alive bool) (string, error) {
	h.Scrape, h.Ends = true, !alive
	read, err := h.Read(ctx)
	if err != nil {
		return "", err
	}
	return read.Printed(ctx).Metrics(), nil
}

// WriteMetrics writes metrics into a file for node_exporter's textfile collector, which is not
// root and must never see half of it. What stands there and is no file, such as a link to a
// terminal, is not replaced.
func WriteMetrics(path, metrics string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot write %s: it is there, and is no regular file: --prometheus - is standard output", path)
	}
	return atomicfile.WriteFile(path, []byte(metrics), 0o644)
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

// watcherMetrics returns those of natspread health; none where it does not run, and nobody wants
// it to.
func watcherMetrics(w *Watcher) []metric {
	if w == nil {
		return nil
	}
	all := []metric{gauge("natspread_watcher_up", "1 while natspread health runs, 0 when nobody checks the backends.", "", boolean(w.Alive))}
	if w.BeatAge == nil {
		return all
	}
	return append(
		all,
		gauge("natspread_watcher_beat_age_seconds", "How long ago natspread health wrote its state.", "", *w.BeatAge),
		metric{"natspread_rule_loads_total", "counter", "Loads of rules that take backends out or let them in again, by their result.", []sample{
			{`{result="ok"}`, float64(w.record.LoadsOK)}, {`{result="failed"}`, float64(w.record.LoadsFailed)},
		}},
		gauge("natspread_rule_load_duration_seconds", "How long the last of these loads took.", "", w.record.LoadDuration.Seconds()),
		metric{"natspread_checks_late_total", "counter", "Checks that began over 100 ms late.", []sample{{"", float64(w.record.Late)}}},
	)
}

// serviceMetrics returns those that each checked service has a sample of.
func serviceMetrics(services []Service) []metric {
	open := metric{name: "natspread_service_fail_open", kind: "gauge", help: "1 when too few backends of a service are up, and no backup, so that all get connections."}
	for _, service := range services {
		if service.Health != "" {
			open.samples = append(open.samples, sample{fmt.Sprintf("{service=%s}", text.Quoted(service.Name)), boolean(service.Health == health.FailOpen)})
		}
	}
	return []metric{open}
}

// labels names a backend of a service.
func labels(service Service, backend Backend) string {
	return "{service=" + text.Quoted(service.Name) + ",backend=" + text.Quoted(backend.Address) + "}"
}

// backendMetrics returns those that each backend has a sample of.
func backendMetrics(services []Service) []metric {
	connections := metric{name: "natspread_backend_connections_total", kind: "counter", help: "New connections that a backend got. A load of natspread's own keeps the count."}
	live := metric{name: "natspread_backend_live_connections", kind: "gauge", help: "Connections that are open at a backend now, by connection tracking."}
	weight := metric{name: "natspread_backend_weight", kind: "gauge", help: "The weight of a backend in the config."}
	wanted := metric{name: "natspread_backend_wanted_ratio", kind: "gauge", help: "The share of new connections that a backend is to get now, 0 to 1."}
	used := metric{name: "natspread_backend_in_use", kind: "gauge", help: "1 when a backend is to get new connections now, 0 when it is drained, down or a backup."}
	for _, service := range services {
		for _, backend := range service.Backends {
			of := labels(service, backend)
			connections.samples = append(connections.samples, sample{of, float64(backend.Connections)})
			weight.samples = append(weight.samples, sample{of, float64(backend.Weight)})
			wanted.samples = append(wanted.samples, sample{of, backend.WantedShare})
			used.samples = append(used.samples, sample{of, boolean(backend.WantedShare > 0)})
			if backend.Live != nil {
				live.samples = append(live.samples, sample{of, float64(*backend.Live)})
			}
		}
	}
	return []metric{connections, live, weight, wanted, used}
}

// checkMetrics returns those that each checked backend has a sample of.
func checkMetrics(services []Service) []metric {
	up := metric{name: "natspread_backend_up", kind: "gauge", help: "1 while a checked backend is up, or not checked yet, 0 while it is down."}
	checks := metric{name: "natspread_backend_checks_total", kind: "counter", help: "Checks of a backend, by their result."}
	changes := metric{name: "natspread_backend_state_changes_total", kind: "counter", help: "How often a backend went up or down."}
	duration := metric{name: "natspread_backend_check_duration_seconds", kind: "gauge", help: "How long the last check of a backend took."}
	unanswered := metric{name: "natspread_backend_unanswered_connections", kind: "gauge", help: "Connections that a backend had not answered when natspread health last looked at connection tracking."}
	for _, service := range services {
		for _, backend := range service.Backends {
			if backend.Health == nil {
				continue
			}
			of, record := labels(service, backend), backend.Health.record
			up.samples = append(up.samples, sample{of, boolean(backend.Health.State != health.Down)})
			if record.OK+record.Failed+record.Unable == 0 { // of what is not known 0 would be a lie
				continue
			}
			for _, result := range []struct {
				name  string
				count uint64
			}{{"ok", record.OK}, {"failed", record.Failed}, {"unable", record.Unable}} {
				checks.samples = append(checks.samples, sample{of[:len(of)-1] + ",result=" + text.Quoted(result.name) + "}", float64(result.count)})
			}
			changes.samples = append(changes.samples, sample{of, float64(record.Changes)})
			duration.samples = append(duration.samples, sample{of, record.Duration.Seconds()})
			unanswered.samples = append(unanswered.samples, sample{of, float64(record.Unanswered)})
		}
	}
	return []metric{up, checks, changes, duration, unanswered}
}
