package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// The lines of Prometheus' text format, version 0.0.4: what a family is, and samples.
var (
	aboutLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$`)
	labelInLine = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)`)
)

// scraped is what a collector makes of the text: the value of each series, and the type
// of each family.
type scraped struct {
	values map[string]float64 // by name, and labels as name=value with commas between
	types  map[string]string
}

// scrape reads the text as strictly as the format says: a family's HELP and TYPE come
// once and before its samples, these stand together, and no series stands twice.
func scrape(text string) (scraped, error) {
	got := scraped{map[string]float64{}, map[string]string{}}
	helped, family := map[string]bool{}, ""
	if text == "" || !strings.HasSuffix(text, "\n") {
		return got, fmt.Errorf("%q does not end with a line", text)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if about := aboutLine.FindStringSubmatch(line); about != nil {
			what, name, rest := about[1], about[2], about[3]
			switch {
			case what == "HELP" && !helped[name]:
				helped[name] = true
			case what == "TYPE" && got.types[name] == "" && slices.Contains([]string{"counter", "gauge"}, rest):
				got.types[name], family = rest, name
			default:
				return got, fmt.Errorf("%q: again, or no type", line)
			}
			continue
		}
		found := sampleLine.FindStringSubmatch(line)
		if found == nil || found[1] != family || !helped[family] {
			return got, fmt.Errorf("%q is no sample of family %q", line, family)
		}
		series, err := readLabels(found[2])
		if err != nil {
			return got, err
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if _, twice := got.values[family+series]; twice || err != nil {
			return got, fmt.Errorf("%q: %v, or twice", line, err)
		}
		got.values[family+series] = value
	}
	return got, nil
}

// readLabels reads what stands in the braces of a sample.
func readLabels(text string) (string, error) {
	series := ""
	for text != "" {
		found := labelInLine.FindStringSubmatch(text)
		if found == nil {
			return "", fmt.Errorf("%q are no labels", text)
		}
		series += "," + found[1] + "=" + strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(found[2])
		text = text[len(found[0]):]
	}
	return series, nil
}

// TestMetrics writes made-up numbers and reads them back.
func TestMetrics(t *testing.T) {
	t.Parallel()
	live := 7
	got, err := scrape(metrics(statusResult{
		State: restore.Drift, Generation: 12, Drifts: []string{"one", "two"},
		Services: []serviceStatus{
			{Name: "web", Backends: []backendStatus{{Address: "10.0.0.1:80", Wanted: 1.0 / 3, Connections: 1 << 40, Live: &live}, {Address: "10.0.0.2:80"}}},
			{Name: "dns", Backends: []backendStatus{{Address: "[fd00::1]:53", Wanted: 1}}},
			{Name: "a\"b\\c\nd", Backends: []backendStatus{{Address: "10.0.0.1"}}}, // no config has it
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for series, want := range map[string]float64{
		"natspread_up": 1, "natspread_drift": 2, "natspread_generation": 12,
		"natspread_connections_total,service=web,backend=10.0.0.1:80":     1 << 40,
		"natspread_connections_total,service=dns,backend=[fd00::1]:53":    0,
		"natspread_wanted_share,service=web,backend=10.0.0.1:80":          1.0 / 3,
		"natspread_live_connections,service=web,backend=10.0.0.1:80":      7,
		"natspread_connections_total,service=a\"b\\c\nd,backend=10.0.0.1": 0,
	} {
		if value, found := got.values[series]; !found || value != want {
			t.Errorf("%s is %v (%v), not %v", series, value, found, want)
		}
	}
	// What is not known has no sample: 0 would be a lie.
	if value, found := got.values["natspread_live_connections,service=dns,backend=[fd00::1]:53"]; found {
		t.Errorf("live connections that nobody counted are %v", value)
	}
	if got.types["natspread_connections_total"] != "counter" || got.types["natspread_live_connections"] != "gauge" {
		t.Errorf("types: %v", got.types)
	}
}

// TestScrapeRefuses holds the reader above to the format.
func TestScrapeRefuses(t *testing.T) {
	t.Parallel()
	const about = "# HELP a_b c\n# TYPE a_b gauge\n"
	for _, text := range []string{
		"", about, about + "a_b 1", about + "a_c 1\n", "a_b 1\n" + about, about + "a_b one\n", about + "a_b 1\na_b 1\n",
		about + "a_b{x=1} 1\n", about + "a_b{x=\"\"\"} 1\n", "# TYPE a_b gauge\na_b 1\n", about + about + "a_b 1\n", about + "a-b 1\n",
	} {
		if _, err := scrape(text); err == nil && text != about {
			t.Errorf("%q passes", text)
		}
	}
	if got, err := scrape(about + "a_b{x=\"1\",y=\"2\"} 3e-05\n"); err != nil || got.values["a_b,x=1,y=2"] != 3e-05 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestPrometheus compares what is written for node_exporter with what the backends got.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.Isolate(t) {
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
		return inProcess(append([]string{"--root", root, "--variant", variant, "status"}, args...)...)
	}
	status("--prometheus", file).want(t, exitNotLoaded)
	wantScraped(t, file, map[string]float64{"natspread_up": 0, "natspread_drift": 0, "natspread_generation": 0})
	network := netnstest.NewNetwork(t, netnstest.Layout{})
	backends := network.Serve(t, "tcp", 4, 80)
	inProcess("--root", root, "--variant", variant, "apply").want(t, exitDone)
	tally := netnstest.AskMany(t, network.Client, "tcp", "192.0.2.10:80", connections, 1)
	if got := status("--prometheus", file).want(t, exitDone); got.out != "" || got.err != "" {
		t.Errorf("not silent: %q, %q", got.out, got.err)
	}
	want := map[string]float64{"natspread_up": 1, "natspread_drift": 0, "natspread_generation": 1}
	for i, count := range tally.Of(backends) {
		labels := fmt.Sprintf(",service=web,backend=10.0.0.%d:80", i+1)
		want["natspread_connections_total"+labels] = float64(count)
		want["natspread_wanted_share"+labels] = []float64{1.0 / 3, 2.0 / 3, 0}[i]
	}
	wantScraped(t, file, want)
	wantSamples(t, status("--prometheus", "-").want(t, exitDone).out, want)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o644 {
		t.Errorf("the collector may not read it: %v, %v", info.Mode(), err)
	}
	netnstest.Self().Command(t, "", "iptables-"+variant, "-t", "nat", "-F", "NATSPREAD-web")
	status("--prometheus", file).want(t, exitFailed)
	wantScraped(t, file, map[string]float64{"natspread_up": 1, "natspread_drift": 1})
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
	got, err := scrape(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for series, value := range want {
		if found, ok := got.values[series]; !ok || found != value {
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
