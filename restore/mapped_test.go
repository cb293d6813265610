package restore_test

import (
	"fmt"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// mappedConfig is one service of both families whose ports are mapped, with the backends of a pool.
const mappedConfig = `[defaults]
algorithm = %q

[pool.dual]
backends = ["10.0.0.1", { address = "10.0.0.2", weight = 2 }, { address = "10.0.0.3", drain = true }, "fd00::1", "fd00::3"]

[[service]]
name     = "a_web_farm_with_a_long_name"
listen   = ["192.0.2.10", "2001:db8::10"]
protocol = ["tcp", "udp"]
ports    = { 80 = 8080, 443 = 8443 }
pool     = "dual"
`

// TestMappedPorts asks each port of a service that maps them: the backends of the family answer at
// the port that it is mapped to, by their weights, and a client that keeps its backend has the same
// one at both ports.
func TestMappedPorts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		host := newHost(t, variant)
		servers := map[string][]string{}
		for _, family := range []int{4, 6} {
			for _, network := range []string{"tcp", "udp"} {
				for asked, to := range map[int]int{80: 8080, 443: 8443} {
					servers[fmt.Sprint(family, network, asked)] = n.Serve(t, network, family, to)
				}
			}
		}
		shares := map[int][]float64{4: {1, 2, 0}, 6: {1, 0, 1}}
		for _, algorithm := range []string{"random", "source", "round-robin"} {
			apply(t, host, fmt.Sprintf(mappedConfig, algorithm))
			for _, family := range []int{4, 6} {
				for _, network := range []string{"tcp", "udp"} {
					var all [][]int
					for _, asked := range []int{80, 443} {
						counts := netnstest.AskMany(t, n.Client, network, at(netnstest.VIP(family), asked), 300, 4).Of(servers[fmt.Sprint(family, network, asked)])
						if x2, ok := netnstest.ChiSquare(counts, shares[family]); algorithm == "random" && !ok {
							t.Errorf("IPv%d, %s %d: %d, chi-square %.1f", family, network, asked, counts, x2)
						}
						all = append(all, counts)
					}
					if third := []int{100 * int(shares[family][0]), 100 * int(shares[family][1]), 100 * int(shares[family][2])}; algorithm == "round-robin" && family == 4 && fmt.Sprint(all) != fmt.Sprint([][]int{third, third}) {
						t.Errorf("%s: %d in turn, want %d at each port", network, all, third)
					}
					if algorithm == "source" && fmt.Sprint(all[0]) != fmt.Sprint(all[1]) {
						t.Errorf("IPv%d, %s: one client has %d at one port and %d at the other", family, network, all[0], all[1])
					}
					wantRefused(t, n.Client, network, at(netnstest.VIP(family), 8080))
				}
			}
		}
	})
}
