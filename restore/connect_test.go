package restore_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// patience bounds a question that has no answer, and hurry one that is refused.
const (
	patience = 300 * time.Millisecond
	hurry    = 10 * time.Second
)

// transports are the protocols that have sockets on every kernel.
var transports = []string{"tcp", "udp"}

// families are rules' names for the families of netnstest.
var families = map[int]rules.Family{4: rules.IPv4, 6: rules.IPv6}

// eachConnection runs a test once a family and transport, with the variants of VariantsAt: where
// that is one, each family and each transport has both.
func eachConnection(t *testing.T, test func(t *testing.T, variant rules.Variant, family int, network string)) {
	t.Helper()
	for i, family := range []int{4, 6} {
		for j, network := range transports {
			for _, variant := range netnstest.VariantsAt(t, t.Name(), i+j) {
				t.Run(fmt.Sprintf("%s/ipv%d/%s", variant, family, network), func(t *testing.T) {
					if netnstest.Isolate(t) {
						test(t, rules.Variant(variant), family, network)
					}
				})
			}
		}
	}
}

// service returns a [[service]] for the first backends, at a port where clients
// ask and the backends listen; further lines may set any other key.
func service(name string, family, port int, backends int, lines ...string) string {
	var list []string
	for i := range backends {
		list = append(list, fmt.Sprintf("{ address = %q }", at(backend(family, i), port)))
	}
	text := fmt.Sprintf("[[service]]\nname = %q\nprotocol = [\"tcp\", \"udp\"]\n%s\n", name, strings.Join(lines, "\n"))
	if !strings.Contains(text, "listen =") {
		text += fmt.Sprintf("listen = %q\n", at(netnstest.VIP(family), port))
	}
	if !strings.Contains(text, "backends =") {
		text += fmt.Sprintf("backends = [%s]\n", strings.Join(list, ", "))
	}
	return text
}

// weighted returns the backends key for the first backends with weights.
func weighted(family, port int, weights ...int) string {
	var list []string
	for i, weight := range weights {
		list = append(list, fmt.Sprintf("{ address = %q, weight = %d }", at(backend(family, i), port), weight))
	}
	return "backends = [" + strings.Join(list, ", ") + "]"
}

// backend returns the address of a backend by its place, from 0.
func backend(family, i int) netip.Addr {
	if family == 6 {
		return netip.MustParseAddr(fmt.Sprint("fd00::", i+1))
	}
	return netip.MustParseAddr(fmt.Sprint("10.0.0.", i+1))
}

// at writes an address and port.
func at(addr netip.Addr, port int) string {
	return netip.AddrPortFrom(addr, uint16(port)).String()
}

// wantAnswer asks once, and says who has to answer, and whom that has to see.
func wantAnswer(t *testing.T, from *netnstest.Host, network, addr, wantBackend string, wantPeer netip.Addr) {
	t.Helper()
	answered, peer, err := netnstest.Ask(t, from, network, addr, 2*time.Second)
	if err != nil || answered != wantBackend || peer != wantPeer.String() {
		t.Errorf("%s %s was answered by %q, which saw %q, %v; want %s, which sees %v", network, addr, answered, peer, err, wantBackend, wantPeer)
	}
}

// wantRefused asks once, and wants to be refused at once, not after a time-out.
func wantRefused(t *testing.T, from *netnstest.Host, network, addr string) {
	t.Helper()
	start := time.Now()
	answered, _, err := netnstest.Ask(t, from, network, addr, 2*time.Second)
	if !errors.Is(err, unix.ECONNREFUSED) || time.Since(start) > hurry {
		t.Errorf("%s %s was answered by %q after %v, %v; want to be refused", network, addr, answered, time.Since(start), err)
	}
}

// wantSilence asks each address once, all at the same time, and wants no answer.
func wantSilence(t *testing.T, from *netnstest.Host, network string, addrs ...string) {
	t.Helper()
	var asked sync.WaitGroup
	for _, addr := range addrs {
		asked.Go(func() {
			answered, err := from.Once(network, addr, patience)
			if err == nil || errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("%s %s was answered by %q, %v; want silence", network, addr, answered, err)
			}
		})
	}
	asked.Wait()
}

// routeBack gives the client a way to the backends' own addresses.
func routeBack(t *testing.T, n *netnstest.Network) {
	t.Helper()
	n.Client.Command(t, "route add 10.0.0.0/24 via 192.0.2.10\nroute add fd00::/64 via 2001:db8::10\n", "ip", "-batch", "-")
}

// TestShares counts who answers many connections.
func TestShares(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		servers := n.Serve(t, network, family, 80)
		host := newHost(t, variant)
		ask := func(count int) []int {
			t.Helper()
			return netnstest.AskMany(t, n.Client, network, at(netnstest.VIP(family), 80), count, 8).Of(servers)
		}
		apply(t, host, service("web", family, 80, 3, weighted(family, 80, 1, 2, 3)))
		counts := ask(testsize.Of(800, 3000))
		if x2, ok := netnstest.ChiSquare(counts, []float64{1, 2, 3}); !ok {
			t.Errorf("random: %d, chi-square %.1f", counts, x2)
		}
		for _, weights := range [][]int{{1, 1, 1}, {1, 2, 3}, {4, 0, 2}} {
			apply(t, host, service("web", family, 80, 3, weighted(family, 80, weights...), `algorithm = "round-robin"`))
			sum := weights[0] + weights[1] + weights[2]
			for i, count := range ask(sum * 30) {
				if count != weights[i]*30 {
					t.Errorf("round-robin by %d: backend %d answered %d times, want %d", weights, i+1, count, weights[i]*30)
				}
			}
		}
	})
}

// TestTurnsGoOn has one service's turns go on while another is changed. By the
// legacy variant every change, also somebody else's, makes the whole table anew, and
// the turns with it.
func TestTurnsGoOn(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		servers := n.Serve(t, "tcp", 4, 80)
		host := newHost(t, variant)
		web := service("web", 4, 80, 3, `algorithm = "round-robin"`)
		for turn := range 7 {
			apply(t, host, web+service("other", 4, 81, turn%3+1))
			if variant == rules.Legacy {
				turn = 0
			}
			wantAnswer(t, n.Client, "tcp", at(netnstest.VIP(4), 80), servers[turn%3], netnstest.Gateway(4))
		}
	})
}

// TestSources is whom the backends see, by every kind of snat.
func TestSources(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		toml := ""
		for _, family := range []int{4, 6} {
			toml += service(fmt.Sprint("masq", family), family, 81, 1) +
				service(fmt.Sprint("addr", family), family, 82, 1, fmt.Sprintf("snat = %q", netnstest.VIP(family))) +
				service(fmt.Sprint("none", family), family, 83, 1, `snat = "none"`)
		}
		apply(t, newHost(t, variant), toml)
		for _, family := range []int{4, 6} {
			vip, client := netnstest.VIP(family), netnstest.ClientAddr(family, 0)
			for port, c := range map[int]struct{ client, balancer netip.Addr }{
				81: {netnstest.Gateway(family), netnstest.Gateway(family)},
				82: {vip, vip},
				83: {client, vip}, // to itself the balancer speaks from the VIP
			} {
				for _, network := range transports {
					server := n.Serve(t, network, family, port)[0]
					wantAnswer(t, n.Client, network, at(vip, port), server, c.client)
					wantAnswer(t, n.Balancer, network, at(vip, port), server, c.balancer)
				}
			}
		}
	})
}

// TestSourceKeptFromOthers has others masquerade all that leaves the host. With snat = "none"
// the backends see the client all the same, by an address and by "*"; a client for which
// hairpin asks, the balancer; and what is not balanced is masqueraded as others want it.
func TestSourceKeptFromOthers(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		routeBack(t, n)
		hosttest.IPTables(t, variant, families[family], "-A POSTROUTING -j MASQUERADE")
		save := func() string { // without the counters of policies
			return policyCounters.ReplaceAllString(hosttest.SaveNAT(t, variant, families[family]), "$1")
		}
		before := save()
		host := newHost(t, variant)
		hairpin := fmt.Sprintf("hairpin = [%q]", netip.PrefixFrom(netnstest.ClientAddr(family, 0), netnstest.ClientAddr(family, 0).BitLen()))
		apply(t, host, service("one", family, 80, 1, `snat = "none"`)+
			service("any", family, 81, 1, `snat = "none"`, `listen = "*:81"`)+service("beside", family, 82, 1, `snat = "none"`, hairpin))
		vip, client := netnstest.VIP(family), netnstest.ClientAddr(family, 0)
		for port, sees := range map[int]netip.Addr{80: client, 81: client, 82: netnstest.Gateway(family)} {
			wantAnswer(t, n.Client, network, at(vip, port), n.Serve(t, network, family, port)[0], sees)
		}
		other := n.Serve(t, network, family, 83)[0]
		wantAnswer(t, n.Client, network, other, other, netnstest.Gateway(family))
		_, err := host.Stop(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what is others'", before, save())
	})
}

// TestHairpin has a backend as the client. Without masquerade the backend that
// answers does so past the balancer, to a client that never asked it.
func TestHairpin(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true})
		host := newHost(t, variant)
		only := func(family int) string { return weighted(family, 80, 0, 1) } // the second answers
		for _, family := range []int{4, 6} {
			vip, prefix := netnstest.VIP(family), map[int]string{4: "10.0.0.0/24", 6: "fd00::/64"}[family]
			for _, network := range transports {
				server := n.Serve(t, network, family, 80)[1]
				apply(t, host, service("web", family, 80, 2, only(family), `snat = "none"`))
				wantSilence(t, n.Backends[0].Host, network, at(vip, 80))
				wantAnswer(t, n.Client, network, at(vip, 80), server, netnstest.ClientAddr(family, 0))

				apply(t, host, service("web", family, 80, 2, only(family), `snat = "none"`, fmt.Sprintf("hairpin = [%q]", prefix)))
				wantAnswer(t, n.Backends[0].Host, network, at(vip, 80), server, netnstest.Gateway(family))
				wantAnswer(t, n.Client, network, at(vip, 80), server, netnstest.ClientAddr(family, 0))

				apply(t, host, service("web", family, 80, 2, only(family))) // masquerade hides everyone
				wantAnswer(t, n.Backends[0].Host, network, at(vip, 80), server, netnstest.Gateway(family))
			}
		}
	})
}

// TestLocal has the balancer itself as the client, with a server of its own at the
// very address that is balanced.
func TestLocal(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host := newHost(t, variant)
		toml := ""
		for _, family := range []int{4, 6} {
			toml += service(fmt.Sprint("web", family), family, 80, 1) + service(fmt.Sprint("far", family), family, 81, 1, "local = false")
		}
		apply(t, host, toml)
		for _, family := range []int{4, 6} {
			vip := netnstest.VIP(family)
			for _, network := range transports {
				for _, port := range []int{80, 81} {
					server := n.Serve(t, network, family, port)[0]
					own := netnstest.Serve(t, n.Balancer, network, at(vip, port))
					wantAnswer(t, n.Client, network, at(vip, port), server, netnstest.Gateway(family))
					if port == 80 {
						wantAnswer(t, n.Balancer, network, at(vip, port), server, netnstest.Gateway(family))
					} else {
						wantAnswer(t, n.Balancer, network, at(vip, port), own, vip)
					}
				}
			}
		}
	})
}

// TestAnyAddress listens on "*": every address of the balancer but its loopback,
// where its own services stay its own, and nobody else's address.
func TestAnyAddress(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		routeBack(t, n)
		host := newHost(t, variant)
		apply(t, host, service("web", 4, 80, 1, `listen = "*:80"`)+service("web6", 6, 80, 1, `listen = "*:80"`))
		for _, family := range []int{4, 6} {
			loopback := map[int]netip.Addr{4: netip.MustParseAddr("127.0.0.1"), 6: netip.IPv6Loopback()}[family]
			for _, network := range transports {
				server := n.Serve(t, network, family, 80)[0]
				own := netnstest.Serve(t, n.Balancer, network, at(loopback, 80))
				for _, addr := range []netip.Addr{netnstest.VIP(family), netnstest.Gateway(family)} {
					wantAnswer(t, n.Client.At(netnstest.ClientAddr(family, 0)), network, at(netnstest.VIP(family), 80), server, netnstest.Gateway(family))
					wantAnswer(t, n.Balancer, network, at(addr, 80), server, netnstest.Gateway(family))
				}
				wantAnswer(t, n.Balancer, network, at(loopback, 80), own, loopback)
				if family == 4 {
					other := netnstest.Serve(t, n.Balancer, network, "127.1.2.3:80")
					wantAnswer(t, n.Balancer, network, "127.1.2.3:80", other, netip.MustParseAddr("127.0.0.1"))
				}
				// What only passes through is not the balancer's.
				outside := netnstest.Serve(t, n.Client, network, at(netnstest.ClientAddr(family, 0), 80))
				wantAnswer(t, n.Backends[0].Host, network, outside, outside, n.Backends[0].Addr(family))
			}
		}
	})
}

// TestInterface balances only what comes in at one interface.
func TestInterface(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true})
		toml := ""
		for _, family := range []int{4, 6} {
			toml += service(fmt.Sprint("web", family), family, 80, 2, fmt.Sprintf("interface = %q", netnstest.Front), weighted(family, 80, 0, 1))
		}
		apply(t, newHost(t, variant), toml)
		for _, family := range []int{4, 6} {
			vip := netnstest.VIP(family)
			for _, network := range transports {
				server := n.Serve(t, network, family, 80)[1]
				own := netnstest.Serve(t, n.Balancer, network, at(vip, 80))
				wantAnswer(t, n.Client, network, at(vip, 80), server, netnstest.Gateway(family))
				wantAnswer(t, n.Backends[0].Host, network, at(vip, 80), own, n.Backends[0].Addr(family))
			}
		}
	})
}

// TestPortRange keeps the port that the client asked for, or leads all to one.
func TestPortRange(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		toml := ""
		for _, family := range []int{4, 6} {
			vip := at(netnstest.VIP(family), 8000)
			toml += service(fmt.Sprint("kept", family), family, 0, 1, fmt.Sprintf("listen = %q", vip+"-8010"), fmt.Sprintf("backends = [%q]", backend(family, 0))) +
				service(fmt.Sprint("one", family), family, 80, 1, fmt.Sprintf("listen = %q", at(netnstest.VIP(family), 9000)+"-9010"))
		}
		apply(t, newHost(t, variant), toml)
		for _, family := range []int{4, 6} {
			for _, network := range transports {
				one := n.Serve(t, network, family, 80)[0]
				for _, port := range []int{8000, 8007, 8010} {
					server := n.Serve(t, network, family, port)[0]
					wantAnswer(t, n.Client, network, at(netnstest.VIP(family), port), server, netnstest.Gateway(family))
				}
				for _, port := range []int{9000, 9007, 9010} {
					wantAnswer(t, n.Client, network, at(netnstest.VIP(family), port), one, netnstest.Gateway(family))
				}
				for _, port := range []int{7999, 8011, 8999, 9011} {
					wantRefused(t, n.Client, network, at(netnstest.VIP(family), port))
				}
			}
		}
	})
}

// TestDrained refuses at once, although the balancer has a server of its own at
// that very place, and refuses only what was drained.
func TestDrained(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		toml := ""
		for _, family := range []int{4, 6} {
			toml += service(fmt.Sprint("none", family), family, 80, 2, weighted(family, 80, 0, 0)) +
				service(fmt.Sprint("any", family), family, 81, 2, weighted(family, 81, 0, 0), `listen = "*:81"`) +
				service(fmt.Sprint("one", family), family, 82, 2, weighted(family, 82, 0, 1))
		}
		apply(t, newHost(t, variant), toml)
		for _, family := range []int{4, 6} {
			vip := netnstest.VIP(family)
			for _, network := range transports {
				for _, port := range []int{80, 81} {
					n.Serve(t, network, family, port)
					netnstest.Serve(t, n.Balancer, network, at(vip, port))
					wantRefused(t, n.Client, network, at(vip, port))
					wantRefused(t, n.Balancer, network, at(vip, port))
				}
				server := n.Serve(t, network, family, 82)[1]
				for range 4 {
					wantAnswer(t, n.Client, network, at(vip, 82), server, netnstest.Gateway(family))
				}
			}
		}
	})
}

// TestDrainedElsewhere refuses also where the interface that clients come in by has no
// address, as the listen address is on lo; and where the host does not have that, as the
// network brings its packets all the same. So it does for a client whom deny has.
func TestDrainedElsewhere(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		apply(t, newHost(t, variant), service("web4", 4, 80, 1, weighted(4, 80, 0))+service("web6", 6, 80, 1, weighted(6, 80, 0))+
			service("denied4", 4, 81, 1, `deny = "192.0.2.0/24"`)+service("denied6", 6, 81, 1, `deny = "2001:db8::/64"`))
		front, err := net.InterfaceByName(netnstest.Front)
		if err != nil {
			t.Fatal(err)
		}
		for family, length := range map[int]int{4: 32, 6: 128} {
			vip, client := netnstest.VIP(family), netnstest.ClientAddr(family, 0)
			n.Client.Command(t, "", "ip", "neigh", "replace", vip.String(), "lladdr", front.HardwareAddr.String(), "dev", "eth0", "nud", "permanent")
			asked := func(lines string) {
				t.Helper()
				n.Balancer.Command(t, lines, "ip", "-batch", "-")
				for _, network := range transports {
					wantRefused(t, n.Client, network, at(vip, 80))
				}
				wantRefused(t, n.Client, "tcp", at(vip, 81))
			}
			ready := map[int]string{6: "nodad"}[family]
			asked(fmt.Sprintf("address flush dev front scope global\nlink set lo up\naddress add %v/%d dev lo %s\nroute add %v/%[2]d dev front\n", vip, length, ready, client))
			other := map[int]string{4: "192.0.2.11/24", 6: "2001:db8::11/64 nodad"}[family]
			asked(fmt.Sprintf("address del %v/%d dev lo\naddress add %s dev front\n", vip, length, other))
		}
	})
}

// TestOthersAreLeftAlone is traffic at the same port that is not the service's.
func TestOthersAreLeftAlone(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		routeBack(t, n)
		toml := service("web", 4, 80, 3, `snat = "192.0.2.10"`) + service("web6", 6, 80, 3)
		apply(t, newHost(t, variant), toml)
		for _, family := range []int{4, 6} {
			for _, network := range transports {
				n.Serve(t, network, family, 80)
				b, client := n.Backends[0], netnstest.ClientAddr(family, 0)
				// The backends' own way out, to the very port that is balanced.
				outside := netnstest.Serve(t, n.Client, network, at(client, 80))
				wantAnswer(t, b.Host.At(b.Addr(family)), network, outside, outside, b.Addr(family))
				wantAnswer(t, n.Balancer, network, outside, outside, netnstest.VIP(family))
				// Another port of the VIP, and another address of the balancer.
				own := netnstest.Serve(t, n.Balancer, network, at(netnstest.VIP(family), 8080))
				wantAnswer(t, n.Client, network, own, own, client)
				beside := netnstest.Serve(t, n.Balancer, network, at(netnstest.Gateway(family), 80))
				wantAnswer(t, b.Host.At(b.Addr(family)), network, beside, beside, b.Addr(family))
			}
		}
	})
}

// TestOneProtocol leaves the other one at the same port alone.
func TestOneProtocol(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host := newHost(t, variant)
		vip, servers := netnstest.VIP(4), map[string]string{}
		for _, network := range transports {
			servers[network] = n.Serve(t, network, 4, 80)[0]
		}
		for _, network := range transports {
			apply(t, host, strings.Replace(service("web", 4, 80, 1), `["tcp", "udp"]`, `"`+network+`"`, 1))
			for _, asked := range transports {
				if asked == network {
					wantAnswer(t, n.Client, asked, at(vip, 80), servers[asked], netnstest.Gateway(4))
				} else {
					wantRefused(t, n.Client, asked, at(vip, 80))
				}
			}
		}
	})
}

// TestSCTP balances by round-robin where the kernel has the sockets for it.
func TestSCTP(t *testing.T) {
	netnstest.NeedSCTP(t)
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		servers := n.Serve(t, "sctp", 4, 80)
		apply(t, newHost(t, variant), strings.Replace(service("web", 4, 80, 3, `algorithm = "round-robin"`), `["tcp", "udp"]`, `"sctp"`, 1))
		for turn := range 6 {
			wantAnswer(t, n.Client, "sctp", at(netnstest.VIP(4), 80), servers[turn%3], netnstest.Gateway(4))
		}
	})
}

// TestAfterBoot is the whole way: an apply, a reboot, a restore, and connections
// that neither survive the one nor miss the other.
func TestAfterBoot(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		hosttest.Boot(t, variant)
		for _, family := range []int{4, 6} {
			servers := n.Serve(t, "tcp", family, 80)
			wantRefused(t, n.Client, "tcp", at(netnstest.VIP(family), 80))
			if _, err := host.Restore(t.Context()); err != nil {
				t.Error(err)
			}
			counts := netnstest.AskMany(t, n.Client, "tcp", at(netnstest.VIP(family), 80), 1000, 4).Of(servers)
			if x2, ok := netnstest.ChiSquare(counts, []float64{1, 1, 1}); !ok {
				t.Errorf("IPv%d: %d, chi-square %.1f", family, counts, x2)
			}
			if _, err := host.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if left := hosttest.SaveNAT(t, variant, rules.IPv4); strings.Contains(left, rules.Prefix) || hosttest.Forwarding(t) != "00" {
				t.Errorf("forwarding %s, and left:\n%s", hosttest.Forwarding(t), left)
			}
		}
	})
}
