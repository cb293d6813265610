package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/report"
	"natspread/internal/test/netnstest"
)

// said is what natspread said.
type said struct {
	outcome
	t *testing.T
}

// natspread runs it, without any flag but those that are given.
func (l *lifecycle) natspread(code int, args ...string) said {
	l.Helper()
	return said{asProgram(l.T, "natspread", args...).want(l.T, code), l.T}
}

// says wants a line that matches.
func (s said) says(line string) said {
	s.t.Helper()
	if !regexp.MustCompile("(?m)" + line).MatchString(s.out + s.err) {
		s.t.Errorf("no %q in\n%s%s", line, s.out, s.err)
	}
	return s
}

// inSync wants the kernel to hold that generation, and boot to load it.
func (l *lifecycle) inSync(generation int) {
	l.Helper()
	l.natspread(exitDone, "status").says(fmt.Sprintf("^in sync: boot loads generation %d, ", generation))
}

// wantHistory wants the generations to be made by these verbs, the newest first.
func (l *lifecycle) wantHistory(want ...string) {
	l.Helper()
	var history report.History
	if err := json.Unmarshal([]byte(l.natspread(exitDone, "history", "--json").out), &history); err != nil {
		l.Fatal(err)
	}
	var got []string
	for _, g := range history.Generations {
		got = append(got, g.Command)
	}
	if !slices.Equal(got, want) || !history.Generations[0].Current {
		l.Errorf("history is %q, not %q: %+v", got, want, history)
	}
}

// edit replaces what stands once in the config, or appends to it.
func (l *lifecycle) edit(old, with string) {
	l.Helper()
	text, err := os.ReadFile(lifecycleConfig)
	if err != nil {
		l.Fatal(err)
	}
	switch {
	case old == "":
		text = append(text, with...)
	case bytes.Count(text, []byte(old)) == 1:
		text = bytes.Replace(text, []byte(old), []byte(with), 1)
	default:
		l.Fatalf("%q does not stand once in\n%s", old, text)
	}
	writeFile(l.T, lifecycleConfig, string(text))
}

// byHand changes the nat table without natspread.
func (l *lifecycle) byHand(args ...string) {
	l.Helper()
	l.network.Balancer.Command(l.T, "", l.iptables, append([]string{"-w", "-t", "nat"}, args...)...)
}

// counters and comments are what iptables-save prints anew each time.
var countersAndComments = regexp.MustCompile(` \[\d+:\d+\]|(?m:^#.*\n)`)

// kernel returns the nat tables, and whether the kernel forwards.
func (l *lifecycle) kernel() string {
	l.Helper()
	var text strings.Builder
	for _, program := range []string{l.iptables, strings.Replace(l.iptables, "ip", "ip6", 1)} {
		saved := l.network.Balancer.Command(l.T, "", program+"-save", "-t", "nat")
		text.WriteString(countersAndComments.ReplaceAllString(saved, ""))
	}
	forwards, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		l.Fatal(err)
	}
	return text.String() + "forwards " + string(forwards)
}

// everything returns a text that changes when the kernel or a file does.
func (l *lifecycle) everything() string {
	l.Helper()
	text := l.kernel()
	for _, dir := range []string{"/etc/natspread", "/var/lib/natspread"} {
		tree, err := treeText(dir)
		if err != nil {
			l.Fatal(err)
		}
		text += tree
	}
	return text
}

// same fails unless everything is as it was before.
func (l *lifecycle) same(before string) {
	l.Helper()
	if after := l.everything(); after != before {
		l.Errorf("something changed: before\n%s\nafter\n%s", before, after)
	}
}

// leads wants the kernel's chain of a service to lead to these backends, in this order.
func (l *lifecycle) leads(service string, want ...string) {
	l.Helper()
	rule := regexp.MustCompile("(?m)^-A NATSPREAD-" + service + " .* --to-destination (.*)$")
	var got []string
	for _, match := range rule.FindAllStringSubmatch(l.kernel(), -1) {
		got = append(got, match[1])
	}
	if !slices.Equal(got, want) {
		l.Errorf("service %s leads to %v, not %v", service, got, want)
	}
}

// shares makes new connections, and wants the backends of web to get so many of them,
// by weight. A right share is missed once in some 100 million times.
func (l *lifecycle) shares(weights ...float64) {
	l.Helper()
	const connections, deviations = 200, 6
	tally := netnstest.AskMany(l.T, l.network.Client, "tcp", webAddr, connections, 4)
	sum := 0.0
	for _, weight := range weights {
		sum += weight
	}
	for i, weight := range weights {
		share := weight / sum
		want := connections * share
		if got := float64(tally[l.web[i]]); math.Abs(got-want) > deviations*math.Sqrt(want*(1-share)) {
			l.Errorf("%s got %v of %d connections, and not about %.0f", l.web[i], got, connections, want)
		}
	}
}

// others returns the backends but those at some places.
func others(backends []string, places ...int) []string {
	var left []string
	for i, backend := range backends {
		if !slices.Contains(places, i) {
			left = append(left, backend)
		}
	}
	return left
}

// without returns the weights of web when the backends at these places get nothing.
func without(places ...int) []float64 {
	weights := []float64{1, 1, 1, 1}
	for _, place := range places {
		weights[place] = 0
	}
	return weights
}
