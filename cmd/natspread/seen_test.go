package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// weighted has shares that add up, and a backend that gets nothing.
const weighted = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = [
  "10.0.0.1:80",
  { address = "10.0.0.2:80", weight = 2 },
  { address = "10.0.0.3:80", weight = 0 },
]
algorithm = "round-robin"
`

// A small share does not look like that of a drained backend.
func TestStatusSmallShare(t *testing.T) {
	cfg, err := config.Parse("test", []byte(strings.NewReplacer("weight = 2", "weight = 65535", "round-robin", "random").Replace(weighted)))
	if err != nil {
		t.Fatal(err)
	}
	text := describe(cfg.Services[0], nil).text()
	for _, want := range []string{"weight 1      wanted 0.0015 %  seen   0.00 % ", "weight 65535  wanted 100.00 %  seen", "weight 0      wanted   0.00 %  seen"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// What status calls seen must be what the backends got, connection by connection.
func TestStatusCounts(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.Isolate(t) {
				countConnections(t, variant)
			}
		})
	}
}

// countConnections makes connections and compares.
func countConnections(t *testing.T, variant string) {
	const connections = 90
	root := rootWith(t, weighted)
	network := netnstest.NewNetwork(t, netnstest.Layout{})
	backends := network.Serve(t, "tcp", 4, 80)
	inProcess("--root", root, "--variant", variant, "apply").want(t, exitDone)
	tally := netnstest.AskMany(t, network.Client, "tcp", "192.0.2.10:80", connections, 1)
	got := inProcess("--root", root, "--variant", variant, "status", "--json").want(t, exitDone)
	var status statusResult
	if err := json.Unmarshal([]byte(got.out), &status); err != nil {
		t.Fatal(err)
	}
	service := status.Services[0]
	if service.Connections != connections {
		t.Errorf("%d connections were seen, %d made", service.Connections, connections)
	}
	for i, count := range tally.Of(backends) {
		backend := service.Backends[i]
		if backend.Connections != uint64(count) {
			t.Errorf("%s: seen %d, got %d", backend.Address, backend.Connections, count)
		}
		if share := float64(count) / connections; math.Abs(backend.Seen-share) > 1e-9 || math.Abs(backend.Seen-backend.Wanted) > 1e-9 {
			t.Errorf("%s: got %v, seen %v, wanted %v", backend.Address, share, backend.Seen, backend.Wanted)
		}
	}
}
