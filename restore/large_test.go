package restore_test

import (
	"fmt"
	"net/netip"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// TestManyServices asks what so many services listen on, behind trees by address and by
// port, and counts who answers.
func TestManyServices(t *testing.T) {
	const wide = 60 // addresses and ports that are services of their own
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		n.Client.Command(t, "route add 198.18.0.0/24 via 192.0.2.10\nroute add 2001:db8:1::/64 via 2001:db8::10\n", "ip", "-batch", "-")
		toml := ""
		asked := map[int][]string{}
		for _, family := range []int{4, 6} {
			first := map[int]netip.Addr{4: netip.MustParseAddr("198.18.0.1"), 6: netip.MustParseAddr("2001:db8:1::1")}[family]
			for i := range wide {
				for kind, listen := range map[string]string{"a": at(first, 80), "p": at(netnstest.VIP(family), 1000+7*i)} {
					name := fmt.Sprintf("%s%d-%d", kind, family, i)
					toml += service(name, family, 80, 3, fmt.Sprintf("listen = %q", listen), weighted(family, 80, 1, 2, 3))
					asked[family] = append(asked[family], listen)
				}
				first = first.Next()
			}
		}
		apply(t, newHost(t, variant), toml)
		for family, listens := range asked {
			for _, network := range transports {
				servers := n.Serve(t, network, family, 80)
				counts := make([]int, len(servers))
				for _, listen := range listens {
					for i, count := range netnstest.AskMany(t, n.Client, network, listen, 6, 2).Of(servers) {
						counts[i] += count
					}
				}
				if x2, ok := netnstest.ChiSquare(counts, []float64{1, 2, 3}); !ok {
					t.Errorf("IPv%d, %s: %d, chi-square %.1f", family, network, counts, x2)
				}
				wantRefused(t, n.Client, network, at(netnstest.VIP(family), 1001))
			}
		}
	})
}

// TestThousandBackends applies services whose rules need more than one socket's buffer.
func TestThousandBackends(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		for _, algorithm := range []string{"random", "round-robin"} {
			thousand := hosttest.ManyBackends(1000, algorithm)
			apply(t, host, thousand)
			hosttest.WantLoaded(t, variant, thousand)
			if again := apply(t, host, thousand); again.Changed {
				t.Error("what is in sync was applied again")
			}
		}
		apply(t, host, hosttest.Article)
		hosttest.WantLoaded(t, variant, hosttest.Article)
	})
}

// TestManyBackends counts the answers of so many backends that the service's chain is a
// tree.
func TestManyBackends(t *testing.T) {
	const backends = 90
	weights, shares, period := make([]int, backends), make([]float64, backends), 0
	for i := range weights {
		weights[i], shares[i] = 1+i%3, float64(1+i%3)
		period += weights[i]
	}
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: backends})
		servers := n.Serve(t, network, family, 80)
		host, vip := newHost(t, variant), at(netnstest.VIP(family), 80)
		apply(t, host, service("web", family, 80, 0, weighted(family, 80, weights...)))
		counts := netnstest.AskMany(t, n.Client, network, vip, testsize.Of(1000, 2000), 8).Of(servers)
		if x2, ok := netnstest.ChiSquare(counts, shares); !ok {
			t.Errorf("random: %d, chi-square %.1f", counts, x2)
		}
		apply(t, host, service("web", family, 80, 0, weighted(family, 80, weights...), `algorithm = "round-robin"`))
		for i, count := range netnstest.AskMany(t, n.Client, network, vip, 2*period, 8).Of(servers) {
			if count != 2*weights[i] {
				t.Errorf("round-robin: backend %d answered %d times, want %d", i+1, count, 2*weights[i])
			}
		}
	})
}
