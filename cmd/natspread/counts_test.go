package main

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"natspread/internal/report"
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

// shifted has the same shares for each port of two ranges, which lead to one range of each backend.
const shifted = `[[service]]
name = "web"
listen = ["192.0.2.10:8000-8010", "192.0.2.10:8100-8110"]
backends = [
  "10.0.0.1:9000-9010",
  { address = "10.0.0.2:9000-9010", weight = 2 },
  { address = "10.0.0.3:9000-9010", weight = 0 },
]
algorithm = "round-robin"
`

// What status calls observed must be what the backends got, connection by connection.
func TestStatusCounts(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				network := netnstest.NewNetwork(t, netnstest.Layout{})
				countConnections(t, network, variant, weighted, 80, 80)
				countConnections(t, network, variant, shifted, 8103, 9003)
			}
		})
	}
}

// countConnections makes connections to a port, for which the backends answer at another one, and compares.
func countConnections(t *testing.T, network *netnstest.Network, variant, config string, asked, answers int) {
	const connections = 90
	root := rootWith(t, config)
	backends := network.Serve(t, "tcp", 4, answers)
	inProcess("--root", root, "--live", "--variant", variant, "apply").want(t, exitDone)
	tally := netnstest.AskMany(t, network.Client, "tcp", fmt.Sprint("192.0.2.10:", asked), connections, 1)
	got := inProcess("--root", root, "--live", "--variant", variant, "status", "--json").want(t, exitDone)
	var status report.Status
	if err := json.Unmarshal([]byte(got.out), &status); err != nil {
		t.Fatal(err)
	}
	service := status.Services[0]
	if service.Connections != connections {
		t.Errorf("%d connections were counted, %d made", service.Connections, connections)
	}
	for i, count := range tally.Of(backends) {
		backend := service.Backends[i]
		if backend.Connections != uint64(count) {
			t.Errorf("%s: counted %d, got %d", backend.Address, backend.Connections, count)
		}
		if share := float64(count) / connections; math.Abs(backend.ObservedShare-share) > 1e-9 || math.Abs(backend.ObservedShare-backend.WantedShare) > 1e-9 {
			t.Errorf("%s: got %v, observed %v, wanted %v", backend.Address, share, backend.ObservedShare, backend.WantedShare)
		}
	}
}
