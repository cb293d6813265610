package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/report"
	"natspread/internal/test/netnstest"
)

// liveConfig has a service of two protocols, and another one at the same backend.
const liveConfig = `[[service]]
name = "web"
listen = "192.0.2.10:80"
protocol = ["tcp", "udp"]
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 0 }]

[[service]]
name = "also"
listen = "192.0.2.10:81"
backends = ["10.0.0.1:80"]
`

// What status calls live is what is open at that moment, by service and backend.
func TestStatusLive(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				liveConnections(t, variant)
			}
		})
	}
}

// liveConnections opens connections, drains their backend and closes them. What was counted before
// stays counted.
func liveConnections(t *testing.T, variant string) {
	root := rootWith(t, strings.NewReplacer("weight = 0", "weight = 1", `"10.0.0.1:80", {`, `{ address = "10.0.0.1:80", weight = 0 }, {`).Replace(liveConfig))
	network := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
	network.Serve(t, "tcp", 4, 80)
	network.Serve(t, "udp", 4, 80)
	inProcess("--root", root, "--live", "--variant", variant, "apply").want(t, exitDone)
	stream := netnstest.Converse(t, network.Client, "tcp", "192.0.2.10:80")
	flow := netnstest.Converse(t, network.Client, "udp", "192.0.2.10:80")
	if _, err := flow.Ask(time.Second); err != nil {
		t.Fatal(err)
	}
	also := netnstest.Converse(t, network.Client, "tcp", "192.0.2.10:81")
	writeFile(t, root+"/"+paths.Config, liveConfig) // their backend is drained
	inProcess("--root", root, "--live", "--variant", variant, "apply").want(t, exitDone)
	wantLive(t, root, variant, "[[0 2] [1]]")
	if err := stream.End(); err != nil {
		t.Fatal(err)
	}
	if _, err := also.Ask(time.Second); err != nil {
		t.Fatal(err)
	}
	wantLive(t, root, variant, "[[0 1] [1]]")
	text := inProcess("--root", root, "--live", "--variant", variant, "status").want(t, exitDone).out
	for _, want := range []string{`  2 connections, 1 live\n`, `\n  10\.0\.0\.2:80 .* 2     1  #+\n`, `  1 connection, 1 live\n`} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// wantLive compares what status counts, by service and backend. A connection that
// was closed takes a moment to end at its other side.
func wantLive(t *testing.T, root, variant, want string) {
	t.Helper()
	got := ""
	if !within(5*time.Second, func() bool { got = live(t, root, variant); return got == want }) {
		t.Errorf("live %s, want %s", got, want)
	}
}

// live returns what status counts, by service and backend.
func live(t *testing.T, root, variant string) string {
	t.Helper()
	var status report.Status
	said := inProcess("--root", root, "--live", "--variant", variant, "status", "--json").want(t, exitDone)
	if err := json.Unmarshal([]byte(said.out), &status); err != nil {
		t.Fatal(err)
	}
	var counts [][]int
	for _, service := range status.Services {
		sum, backends := 0, []int{}
		for _, backend := range service.Backends {
			sum += *backend.Live
			backends = append(backends, *backend.Live)
		}
		if sum != *service.Live {
			t.Errorf("%s: live %d, but %d in sum", service.Name, *service.Live, sum)
		}
		counts = append(counts, backends)
	}
	return fmt.Sprint(counts)
}
