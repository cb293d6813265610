package restore_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// comer is a client beside an interface of the balancer's, which asks the balancer's address there.
type comer struct {
	*netnstest.Host
	number int
}

// addr returns the client's address.
func (c comer) addr(family int) netip.Addr {
	if family == 6 {
		return netip.MustParseAddr(fmt.Sprintf("fd18:%d::2", c.number))
	}
	return netip.MustParseAddr(fmt.Sprintf("198.18.%d.2", c.number))
}

// newComer makes an interface of the balancer's and a client beside it, and waits until it is answered.
func newComer(t *testing.T, link string, number int) comer {
	t.Helper()
	c := comer{netnstest.NewHost(t, link), number}
	fill := strings.NewReplacer("LINK", link, "N", fmt.Sprint(number))
	netnstest.Self().Command(t, fill.Replace(`link add index 200N name LINK type veth peer name eth0 netns LINK
link set LINK up
addr add 198.18.N.1/24 dev LINK
addr add fd18:N::1/64 dev LINK nodad
`), "ip", "-batch", "-")
	c.Command(t, fill.Replace(`link set eth0 up
addr add 198.18.N.2/24 dev eth0
addr add fd18:N::2/64 dev eth0 nodad
route add 192.0.2.0/24 via 198.18.N.1
route add 2001:db8::/64 via fd18:N::1
`), "ip", "-batch", "-")
	for _, family := range []int{4, 6} {
		up := netnstest.Serve(t, netnstest.Self(), "tcp", at(netnstest.VIP(family), 7000+number))
		if _, err := c.Once("tcp", up, hurry); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// twoByInterface are services of a family at one port for two interfaces, each with its own backend, source
// and FORWARD, and one at another port for both; others are at other addresses, so that there is a tree.
func twoByInterface(family, others int) string {
	toml := service("left", family, 80, 1, `interface = "eth0"`, `forward = "accept"`) +
		service("right", family, 80, 2, `interface = ["wg+", "eth2"]`, only(family, 1, 80), `snat = "none"`, "local = false") +
		service("both", family, 81, 1, `interface = "eth+"`, `forward = "accept"`)
	for i := range others {
		listen := netnstest.VIP(family)
		for range i + 1 {
			listen = listen.Next()
		}
		toml += service(fmt.Sprint("other", i), family, 80, 1, fmt.Sprintf("listen = %q", at(listen, 80)), `interface = ["eth0", "eth2"]`)
	}
	return toml
}

// TestTogetherByInterface asks one port by two interfaces, and each time the service of that interface answers
// with its own source; a pattern takes both, and what comes in by a third one is for the host.
func TestTogetherByInterface(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true})
		host := newHost(t, variant)
		left, right, third := newComer(t, "eth0", 1), newComer(t, "eth2", 2), newComer(t, "lan0", 3)
		for _, family := range []int{4, 6} {
			vip, other := at(netnstest.VIP(family), 80), at(netnstest.VIP(family), 81)
			servers, seconds, own := n.Serve(t, "tcp", family, 80), n.Serve(t, "tcp", family, 81), netnstest.Serve(t, n.Balancer, "tcp", vip)
			n.Serve(t, "udp", family, 80)
			n.Serve(t, "udp", family, 81)
			netnstest.Serve(t, n.Balancer, "udp", vip)
			for _, others := range []int{0, 12} {
				apply(t, host, twoByInterface(family, others))
				wantInSync(t, host)
				for _, network := range transports {
					for range 10 {
						wantAnswer(t, left.Host, network, vip, servers[0], netnstest.Gateway(family))
						wantAnswer(t, right.Host, network, vip, servers[1], right.addr(family))
						wantAnswer(t, third.Host, network, vip, own, third.addr(family))
					}
					wantAnswer(t, left.Host, network, other, seconds[0], netnstest.Gateway(family))
					wantAnswer(t, right.Host, network, other, seconds[0], netnstest.Gateway(family))
					wantAnswer(t, n.Balancer, network, vip, servers[0], netnstest.Gateway(family))
				}
			}
		}
	})
}

// TestTogetherForward lets only that one of two services at one port through FORWARD which asks for it.
func TestTogetherForward(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true})
		host := newHost(t, variant)
		left, right := newComer(t, "eth0", 1), newComer(t, "eth2", 2)
		for _, family := range []int{4, 6} {
			n.Balancer.Command(t, "", netnstest.Programs(string(variant), family).Iptables, "-P", "FORWARD", "DROP")
			server := n.Serve(t, "tcp", family, 80)[0]
			n.Serve(t, "udp", family, 80)
			for _, others := range []int{0, 12} {
				apply(t, host, twoByInterface(family, others))
				for _, network := range transports {
					wantAnswer(t, left.Host, network, at(netnstest.VIP(family), 80), server, netnstest.Gateway(family))
					wantSilence(t, right.Host, network, at(netnstest.VIP(family), 80))
				}
			}
		}
	})
}

// TestTogetherByClient asks one port as three clients: two have a service each, with its own source, and
// the third one is refused, or served by the service of all others, or by the host.
func TestTogetherByClient(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 3, Separate: true, Gateway: true, Clients: 3})
		n.Balancer.Sysctl(t, "net.ipv4.icmp_ratelimit", "0")
		n.Balancer.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			vip := at(netnstest.VIP(family), 80)
			clients := []netip.Addr{netnstest.ClientAddr(family, 0), netnstest.ClientAddr(family, 1), netnstest.ClientAddr(family, 2)}
			servers, own := n.Serve(t, "tcp", family, 80), netnstest.Serve(t, n.Balancer, "tcp", vip)
			n.Serve(t, "udp", family, 80)
			netnstest.Serve(t, n.Balancer, "udp", vip)
			for _, others := range []int{1, 60} {
				for _, third := range []string{"refused", "host", "rest"} {
					refused, rest := "", ""
					if third == "host" {
						refused = `refused = "host"`
					}
					if third == "rest" {
						rest = service("rest", family, 80, 1, only(family, 2, 80), "local = false",
							strings.NewReplacer("allow", "deny", "]", fmt.Sprintf(", %q]", single(clients[1]))).Replace(clientKey("allow", clients[0], others)))
					}
					apply(t, host, service("one", family, 80, 1, clientKey("allow", clients[0], others), refused)+
						service("two", family, 80, 1, only(family, 1, 80), fmt.Sprintf("allow = [%q]", single(clients[1])), refused, `snat = "none"`, "local = false")+rest)
					wantInSync(t, host)
					for _, network := range transports {
						for range 10 {
							wantAnswer(t, n.Client.At(clients[0]), network, vip, servers[0], netnstest.Gateway(family))
							wantAnswer(t, n.Client.At(clients[1]), network, vip, servers[1], clients[1])
						}
						switch third {
						case "refused":
							wantRefused(t, n.Client.At(clients[2]), network, vip)
						case "host":
							wantAnswer(t, n.Client.At(clients[2]), network, vip, own, clients[2])
						case "rest":
							wantAnswer(t, n.Client.At(clients[2]), network, vip, servers[2], netnstest.Gateway(family))
						}
						wantAnswer(t, n.Balancer, network, vip, servers[0], netnstest.Gateway(family))
					}
				}
			}
		}
	})
}

// TestTogetherMoves gives an interface that a service had to the other one at the same port: what is new goes
// by the new rules, and a client that changed sides by the lists does so at once over UDP.
func TestTogetherMoves(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			vip, client := at(netnstest.VIP(family), 80), netnstest.ClientAddr(family, 0)
			servers := n.Serve(t, "udp", family, 80)
			elsewhere := netnstest.ClientAddr(family, 7)
			toml := func(one, two netip.Addr) string {
				return service("one", family, 80, 1, fmt.Sprintf("allow = [%q]", single(one))) +
					service("two", family, 80, 1, only(family, 1, 80), fmt.Sprintf("allow = [%q]", single(two)), "local = false")
			}
			apply(t, host, toml(client, elsewhere))
			flow := netnstest.Converse(t, n.Client.At(client), "udp", vip)
			for i, addrs := range [][2]netip.Addr{{client, elsewhere}, {elsewhere, client}, {client, elsewhere}} {
				apply(t, host, toml(addrs[0], addrs[1]))
				if answered, err := flow.Ask(hurry); err != nil || answered != servers[i%2] {
					t.Errorf("IPv%d: answered by %q, %v; want %s", family, answered, err, servers[i%2])
				}
			}
		}
	})
}
