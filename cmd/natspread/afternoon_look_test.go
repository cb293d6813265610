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

	"natspread/internal/test/netnstest"
)

// said is what natspread said.
type said struct {
	outcome
	t *testing.T
}

// natspread runs it, without any flag but those that are given.
func (a *afternoon) natspread(code int, args ...string) said {
	a.Helper()
	return said{asProgram(a.T, "natspread", args...).want(a.T, code), a.T}
}

// says wants a line that matches.
func (s said) says(line string) said {
	s.t.Helper()
	if !regexp.MustCompile("(?m)" + line).MatchString(s.out + s.err) {
		s.t.Errorf("no %q in\n%s%s", line, s.out, s.err)
	}
	return s
}

// inStep wants the kernel to hold that generation, and boot to load it.
func (a *afternoon) inStep(generation int) {
	a.Helper()
	a.natspread(exitDone, "status").says(fmt.Sprintf("^in step: boot loads generation %d, ", generation))
}

// wantHistory wants the generations to be made by these verbs, the newest first.
func (a *afternoon) wantHistory(want ...string) {
	a.Helper()
	var history historyResult
	if err := json.Unmarshal([]byte(a.natspread(exitDone, "history", "--json").out), &history); err != nil {
		a.Fatal(err)
	}
	var got []string
	for _, g := range history.Generations {
		got = append(got, g.Command)
	}
	if !slices.Equal(got, want) || !history.Generations[0].Current {
		a.Errorf("history is %q, not %q: %+v", got, want, history)
	}
}

// edit replaces what stands once in the config, or appends to it.
func (a *afternoon) edit(old, with string) {
	a.Helper()
	text, err := os.ReadFile(afternoonConfig)
	if err != nil {
		a.Fatal(err)
	}
	switch {
	case old == "":
		text = append(text, with...)
	case bytes.Count(text, []byte(old)) == 1:
		text = bytes.Replace(text, []byte(old), []byte(with), 1)
	default:
		a.Fatalf("%q does not stand once in\n%s", old, text)
	}
	writeFile(a.T, afternoonConfig, string(text))
}

// byHand changes the nat table without natspread.
func (a *afternoon) byHand(args ...string) {
	a.Helper()
	a.network.Balancer.Command(a.T, "", a.iptables, append([]string{"-w", "-t", "nat"}, args...)...)
}

// counters and comments are what iptables-save prints anew each time.
var countersAndComments = regexp.MustCompile(` \[\d+:\d+\]|(?m:^#.*\n)`)

// kernel returns the nat tables, and whether the kernel forwards.
func (a *afternoon) kernel() string {
	a.Helper()
	var text strings.Builder
	for _, program := range []string{a.iptables, strings.Replace(a.iptables, "ip", "ip6", 1)} {
		saved := a.network.Balancer.Command(a.T, "", program+"-save", "-t", "nat")
		text.WriteString(countersAndComments.ReplaceAllString(saved, ""))
	}
	forwards, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		a.Fatal(err)
	}
	return text.String() + "forwards " + string(forwards)
}

// everything returns a text that changes when the kernel or a file does.
func (a *afternoon) everything() string {
	a.Helper()
	text := a.kernel()
	for _, dir := range []string{"/etc/natspread", "/var/lib/natspread"} {
		tree, err := treeText(dir)
		if err != nil {
			a.Fatal(err)
		}
		text += tree
	}
	return text
}

// same fails unless everything is as it was before.
func (a *afternoon) same(before string) {
	a.Helper()
	if after := a.everything(); after != before {
		a.Errorf("something changed: before\n%s\nafter\n%s", before, after)
	}
}

// leads wants the kernel's chain of a service to lead to these backends, in this order.
func (a *afternoon) leads(service string, want ...string) {
	a.Helper()
	rule := regexp.MustCompile("(?m)^-A NATSPREAD-" + service + " .* --to-destination (.*)$")
	var got []string
	for _, match := range rule.FindAllStringSubmatch(a.kernel(), -1) {
		got = append(got, match[1])
	}
	if !slices.Equal(got, want) {
		a.Errorf("service %s leads to %v, not %v", service, got, want)
	}
}

// shares makes new connections, and wants the backends of web to get so many of them,
// by weight. A right share is missed once in some 100 million times.
func (a *afternoon) shares(weights ...float64) {
	a.Helper()
	const connections, deviations = 200, 6
	tally := netnstest.AskMany(a.T, a.network.Client, "tcp", webAddr, connections, 4)
	sum := 0.0
	for _, weight := range weights {
		sum += weight
	}
	for i, weight := range weights {
		share := weight / sum
		want := connections * share
		if got := float64(tally[a.web[i]]); math.Abs(got-want) > deviations*math.Sqrt(want*(1-share)) {
			a.Errorf("%s got %v of %d connections, and not about %.0f", a.web[i], got, connections, want)
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
