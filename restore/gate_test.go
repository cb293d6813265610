package restore_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// single writes the subnet of one address.
func single(addr netip.Addr) string { return netip.PrefixFrom(addr, addr.BitLen()).String() }

// clientKey returns allow or deny with a client, and with so many subnets in which nobody is.
func clientKey(key string, client netip.Addr, others int) string {
	list := []string{fmt.Sprintf("%q", client)}
	for i := range others {
		subnet := fmt.Sprintf("172.%d.%d.0/24", len(key)+i%8*8, i*37%256) // another of allow than of deny
		if client.Is6() {
			subnet = fmt.Sprintf("fd0%d:%x:%x::/48", len(key), i*977%65536, i)
		}
		list = append(list, fmt.Sprintf("%q", subnet))
	}
	return key + " = [" + strings.Join(list, ", ") + "]"
}

// TestGate has clients that a service is for, and others, by lists and by trees. What is made on the
// balancer is never refused; a backend is a client as every other.
func TestGate(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true, Clients: 2})
		n.Balancer.Sysctl(t, "net.ipv4.icmp_ratelimit", "0") // else UDP is refused now and then only
		n.Balancer.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			for port, others := range map[int]int{80: 2, 81: 60} {
				vip := at(netnstest.VIP(family), port)
				served, refused := netnstest.ClientAddr(family, 0), netnstest.ClientAddr(family, 1)
				servers := map[string]string{}
				for _, network := range transports {
					servers[network] = n.Serve(t, network, family, port)[1]
					netnstest.Serve(t, n.Balancer, network, vip) // which no client may meet
				}
				one := []string{only(family, 1, port), clientKey("allow", served, others)}
				for _, keys := range [][]string{
					one, append(one, clientKey("deny", refused, others)), {only(family, 1, port), clientKey("deny", refused, others)},
					append(one, fmt.Sprintf(`listen = "*:%d"`, port)),
				} {
					apply(t, host, service("web", family, port, 2, keys...))
					wantInSync(t, host)
					for _, network := range transports {
						server := servers[network]
						for range map[string]int{"tcp": 10, "udp": 2}[network] {
							wantAnswer(t, n.Client.At(served), network, vip, server, netnstest.Gateway(family))
							wantRefused(t, n.Client.At(refused), network, vip)
						}
						for range 5 {
							wantAnswer(t, n.Balancer, network, vip, server, netnstest.Gateway(family))
						}
						if strings.HasPrefix(keys[1], "allow") && network == "tcp" {
							wantRefused(t, n.Backends[0].Host, network, vip)
						}
					}
				}
			}
		}
	})
}

// TestGateToHost leads clients that a service is not for to what the host itself has there.
func TestGateToHost(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Clients: 2})
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			vip := at(netnstest.VIP(family), 80)
			served, other := netnstest.ClientAddr(family, 0), netnstest.ClientAddr(family, 1)
			for _, network := range transports {
				server, own := n.Serve(t, network, family, 80)[0], netnstest.Serve(t, n.Balancer, network, vip)
				for _, key := range []string{
					clientKey("allow", served, 1), clientKey("allow", served, 60), clientKey("deny", other, 1), clientKey("deny", other, 60),
				} {
					apply(t, host, service("web", family, 80, 1, key, `refused = "host"`))
					wantAnswer(t, n.Client.At(served), network, vip, server, netnstest.Gateway(family))
					wantAnswer(t, n.Client.At(other), network, vip, own, other)
				}
			}
		}
	})
}

// TestGateHairpin serves backends that are listed.
func TestGateHairpin(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Separate: true, Gateway: true})
		vip := at(netnstest.VIP(4), 80)
		server := n.Serve(t, "tcp", 4, 80)[1]
		apply(t, newHost(t, variant), service("web", 4, 80, 2, only(4, 1, 80), `snat = "none"`, `hairpin = ["10.0.0.0/24"]`, `allow = ["10.0.0.0/24"]`))
		wantAnswer(t, n.Backends[0].Host, "tcp", vip, server, netnstest.Gateway(4))
		wantRefused(t, n.Client, "tcp", vip)
	})
}

// TestGateMoves changes who may connect while connections are open: a datagram flow goes by the new
// list at once, wherever it led; a stream goes on, or ends where on_remove says so.
func TestGateMoves(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			vip, client := at(netnstest.VIP(family), 80), netnstest.ClientAddr(family, 0)
			server, own := n.Serve(t, "udp", family, 80)[0], netnstest.Serve(t, n.Balancer, "udp", vip)
			n.Serve(t, "tcp", family, 80)
			others := clientKey("allow", netnstest.ClientAddr(family, 9), 0)
			load := func(keys ...string) {
				t.Helper()
				apply(t, host, service("web", family, 80, 1, keys...))
			}
			load(fmt.Sprintf("allow = %q", single(client)))
			flow := netnstest.Converse(t, n.Client, "udp", vip)
			wantMore(t, flow, server)
			for _, step := range []struct {
				keys []string
				want string
			}{
				{[]string{others}, ""},
				{[]string{others, `refused = "host"`}, own},
				{[]string{others}, ""},
				{[]string{clientKey("allow", client, 0)}, server},
				{[]string{others, `refused = "host"`}, own},
				{[]string{clientKey("deny", netnstest.ClientAddr(family, 9), 40)}, server},
				{[]string{clientKey("deny", client, 40)}, ""},
				{nil, server},
			} {
				load(step.keys...)
				if step.want != "" {
					wantMore(t, flow, step.want)
				} else if got, err := flow.Ask(2 * time.Second); !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("%q: the flow was answered by %q, %v; want a refusal", step.keys, got, err)
				}
			}
			for _, onRemove := range []string{"drain", "reset"} {
				key := fmt.Sprintf("on_remove = %q", onRemove)
				load(key)
				stream := netnstest.Converse(t, n.Client, "tcp", vip)
				wantMore(t, stream, server)
				load(key, others)
				if onRemove == "drain" {
					wantMore(t, stream, server)
				} else {
					wantReset(t, stream)
				}
				wantRefused(t, n.Client, "tcp", vip)
			}
		}
	})
}
