package linear

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// few returns how large the smaller of two configs is.
func few() int { return testsize.Of(50, 200) }

// more is how many times as large the other one is.
const more = 4

// most is how many times the work a config may be that is more times as large: a tree has a level
// more, and what is sorted takes a little longer. The square of more is 16.
const most = more + 1.5

// small is how many blocks are no work worth a comparison.
const small = 35_000

// another begins another file of a config.
const another = "# another file\n"

// shapes are the configs, by what there is much of.
func shapes() map[string]func(n int) string {
	list := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i/250, i%250+1))
		}
		return strings.Join(all, ", ")
	}
	services := func(before string) func(n int) string {
		return func(n int) string {
			var toml strings.Builder
			for i := range n {
				fmt.Fprintf(&toml, before+"[[service]]\nname = \"s%d\"\nlisten = \"10.1.%d.%d:80\"\nforward = \"accept\"\nbackends = [\"10.2.%d.%d:80\", \"10.3.0.2:80\"]\n", i, i/250, i%250+1, i/250, i%250+1)
			}
			return toml.String()
		}
	}
	return map[string]func(n int) string{
		"services": services(""),
		"files":    services(another),
		"listens": func(n int) string {
			return "[[service]]\nname = \"s7\"\nlisten = [" + list(n, `"10.1.%d.%d:80"`) + "]\nbackends = [\"10.2.0.1:80\", \"10.3.0.2:80\"]\n"
		},
		"backends": func(n int) string {
			return "[[service]]\nname = \"s7\"\nlisten = \"10.1.0.8:80\"\nbackends = [" + list(n, `"10.2.%d.%d:80"`) + ", \"10.3.0.2:80\"]\n"
		},
	}
}

// step is one verb of the life of a config. An empty one is others' hands: they take a rule out of
// each chain of natspread's.
type step struct {
	verb string
	code int
}

// steps are that life, with what is found when all of it is in order and when none of it is.
func steps() []step {
	return []step{
		{"check", 0}, {"apply", 0}, {"apply", 0}, {"status", 0}, {"status --all", 0}, {"status --prometheus -", 0}, {"status s7", 0}, {"diff", 0}, {"doctor", 0},
		{"render", 0}, {"render --dot", 0}, {"render --explain 10.1.0.8:80", 0}, {"history", 0},
		{"drain --runtime 10.3.0.2", 0}, {"status", 0}, {"doctor", 0}, {"undrain --runtime 10.3.0.2", 0},
		{"drain 10.3.0.2", 0}, {"diff 1", 1}, {"rollback --config-too", 0},
		{}, {"status --all", 1}, {"diff -v", 1}, {"doctor", 1}, {"restore", 0}, {"stop", 0},
	}
}

// TestLinear lives the same life with a small config and with one that is several times as large.
func TestLinear(t *testing.T) {
	dir := netnstest.Build(t, "-cover", "-covermode=atomic", "-coverpkg=natspread/...,slices", "natspread/cmd/natspread")
	for name, shape := range shapes() {
		for _, variant := range netnstest.VariantsFor(t, name) {
			t.Run(name+"/"+variant, func(t *testing.T) {
				if !netnstest.IsolateAsRoot(t) {
					return
				}
				program := filepath.Join(dir, "natspread")
				one, other := live(t, program, rules.Variant(variant), shape(few())), live(t, program, rules.Variant(variant), shape(few()*more))
				for i, step := range steps() {
					times := float64(other[i]) / float64(max(one[i], small))
					t.Logf("%-30s %10d %10d  %.1f", step.verb, one[i], other[i], times)
					if times > most {
						t.Errorf("%s: %d blocks, and %d for %d times as many %s", step.verb, one[i], other[i], more, name)
					}
				}
			})
		}
	}
}

// live lives the life of a config, and returns how many blocks of statements each step of it ran.
func live(t *testing.T, program string, variant rules.Variant, toml string) []int {
	t.Helper()
	hosttest.Boot(t, variant)
	root := hosttest.Root(t)
	config := filepath.Join(root, paths.Config)
	for i, text := range strings.Split(toml, another) {
		if i > 0 {
			config = filepath.Join(root, filepath.Dir(paths.Config), configfiles.Dir, fmt.Sprintf("%d.toml", i))
		}
		hosttest.Must(t, os.MkdirAll(filepath.Dir(config), 0o755))
		hosttest.Must(t, os.WriteFile(config, []byte(text), 0o644))
	}
	netnstest.Self().Command(t, "", "ip", "route", "replace", "local", "10.0.0.0/8", "dev", "lo")
	covered := t.TempDir() // one for all: what the counters are of is written once
	var counts []int
	for _, step := range steps() {
		if step.verb == "" {
			spoil(t, variant)
			counts = append(counts, 0)
			continue
		}
		cmd := exec.Command(program, append([]string{"--root", root, "--live", "--variant", string(variant)}, strings.Fields(step.verb)...)...)
		cmd.Env = append(os.Environ(), "GOCOVERDIR="+covered)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != step.code {
			t.Fatalf("natspread %s ends with %v, not %d: %.2000s", step.verb, err, step.code, out)
		}
		counts = append(counts, count(t, covered))
	}
	return counts
}

// spoil takes a rule out of each chain of natspread's that picks a backend.
func spoil(t *testing.T, variant rules.Variant) {
	t.Helper()
	var kept []string
	for line := range strings.Lines(hosttest.SaveNAT(t, variant, rules.IPv4)) {
		if !strings.Contains(line, "10.3.0.2") {
			kept = append(kept, line)
		}
	}
	hosttest.Put(t, variant, rules.IPv4, strings.Join(kept, ""))
}
