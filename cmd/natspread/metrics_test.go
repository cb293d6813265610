package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
	"natspread/internal/test/promtest"
)

// TestPrometheus compares what is written for node_exporter with what the backends got.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				exportCounts(t, variant)
			}
		})
	}
}

// exportCounts makes connections and exports their numbers.
func exportCounts(t *testing.T, variant string) {
	const connections = 30
	root := rootWith(t, weighted)
	file := filepath.Join(root, "natspread.prom")
	status := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", variant, "status"}, args...)...)
	}
	status("--prometheus", file).want(t, exitNotLoaded)
	wantScraped(t, file, map[string]float64{"natspread_up": 0, "natspread_state,state=not_loaded": 1, "natspread_findings,severity=risk": 1, "natspread_generation": 0})
	network := netnstest.NewNetwork(t, netnstest.Layout{})
	backends := network.Serve(t, "tcp", 4, 80)
	inProcess("--root", root, "--live", "--variant", variant, "apply").want(t, exitDone)
	tally := netnstest.AskMany(t, network.Client, "tcp", "192.0.2.10:80", connections, 1)
	if got := status("--prometheus", file).want(t, exitDone); got.out != "" || got.err != "" {
		t.Errorf("not silent: %q, %q", got.out, got.err)
	}
	want := map[string]float64{"natspread_up": 1, "natspread_state,state=in_sync": 1, "natspread_findings,severity=broken": 0, "natspread_generation": 1}
	for i, count := range tally.Of(backends) {
		labels := fmt.Sprintf(",service=web,backend=10.0.0.%d:80", i+1)
		want["natspread_backend_connections_total"+labels] = float64(count)
		want["natspread_backend_wanted_ratio"+labels] = []float64{1.0 / 3, 2.0 / 3, 0}[i]
	}
	wantScraped(t, file, want)
	wantSamples(t, status("--prometheus", "-").want(t, exitDone).out, want)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o644 {
		t.Errorf("the collector may not read it: %v, %v", info.Mode(), err)
	}
	netnstest.Self().Command(t, "", "iptables-"+variant, "-t", "nat", "-F", "NATSPREAD-web")
	status("--prometheus", file).want(t, exitFailed)
	wantScraped(t, file, map[string]float64{"natspread_up": 1, "natspread_state,state=in_sync": 0, "natspread_state,state=drift": 1, "natspread_findings,severity=broken": 1})
	refusesToExport(t, root, status)
}

// wantScraped reads a file and compares some of it.
func wantScraped(t *testing.T, file string, want map[string]float64) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantSamples(t, string(text), want)
}

// wantSamples compares some of a text.
func wantSamples(t *testing.T, text string, want map[string]float64) {
	t.Helper()
	got, err := promtest.Scrape(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for series, value := range want {
		if found, ok := got.Values[series]; !ok || found != value {
			t.Errorf("%s is %v (%v), not %v", series, found, ok, value)
		}
	}
}

// refusesToExport has nothing replaced that is no file, and a failure leave what there
// was.
func refusesToExport(t *testing.T, root string, status func(...string) outcome) {
	link := filepath.Join(root, "link")
	if err := os.Symlink("/dev/stdout", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, root, filepath.Join(root, "missing/natspread.prom")} {
		got := status("--prometheus", path).want(t, exitFailed)
		got.oneComplaint(t)
		if !strings.Contains(got.err, "cannot write "+path) {
			t.Errorf("%q", got.err)
		}
	}
	if target, err := os.Readlink(link); err != nil || target != "/dev/stdout" {
		t.Errorf("the link is gone: %q, %v", target, err)
	}
	status("--prometheus", "-", "--json").want(t, exitUsage)
	status("--prometheus", "-", "--watch").want(t, exitUsage)
}
