package restore_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/flows"
)

// sourcesConfig has services whose connections get several source addresses, for each family its own.
const sourcesConfig = `[defaults]
snat = ["192.0.2.11", "192.0.2.12", "2001:db8::11-2001:db8::12"]

[[service]]
name       = "few"
listen     = ["192.0.2.10:80", "[2001:db8::10]:80"]
protocol   = ["tcp", "udp"]
backends   = ["10.0.0.1:80", "[fd00::1]:80"]
snat_ports = "random-fully"

[[service]]
name       = "masqueraded"
listen     = ["192.0.2.10:81", "[2001:db8::10]:81"]
protocol   = ["tcp", "udp"]
backends   = ["10.0.0.1:80", "[fd00::1]:80"]
snat       = "masquerade"
snat_ports = "random-fully"

[[service]]
name     = "range"
listen   = ["192.0.2.10:82", "[2001:db8::10]:82"]
protocol = ["tcp", "udp"]
backends = ["10.0.0.1:80", "[fd00::1]:80"]
snat     = ["192.0.2.101-192.0.2.120", "2001:db8::101-2001:db8::120"]
`

// addSources gives the balancer source addresses, which the backends reach by it.
func addSources(t *testing.T, n *netnstest.Network) {
	t.Helper()
	text := "addr add 192.0.2.11/32 dev lo\naddr add 192.0.2.12/32 dev lo\naddr add 2001:db8::11/128 dev lo nodad\naddr add 2001:db8::12/128 dev lo nodad\n"
	for i := 101; i <= 120; i++ {
		text += fmt.Sprintf("addr add 192.0.2.%d/32 dev lo\naddr add 2001:db8::%d/128 dev lo nodad\n", i, i)
	}
	n.Balancer.Command(t, text, "ip", "-batch", "-")
}

// sourcesSeen asks many times, from one client and for one backend, and counts the addresses that it sees.
func sourcesSeen(t *testing.T, n *netnstest.Network, network, addr string, times int) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range times {
		_, peer, err := netnstest.Ask(t, n.Client, network, addr, 2*time.Second)
		if err != nil {
			t.Errorf("%s %s: %v", network, addr, err)
			continue
		}
		seen[peer]++
	}
	return seen
}

// TestSeveralSources has one client ask by several source addresses: a few get the same part of its connections
// each, of a range it gets one alone. With one address, and with source ports by chance, all is as ever.
func TestSeveralSources(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		addSources(t, n)
		host := newHost(t, variant)
		apply(t, host, sourcesConfig)
		wantInSync(t, host)
		for _, family := range []int{4, 6} {
			for _, network := range transports {
				n.Serve(t, network, family, 80)
				first, second := "192.0.2.11", "192.0.2.12"
				if family == 6 {
					first, second = "2001:db8::11", "2001:db8::12"
				}
				seen := sourcesSeen(t, n, network, at(netnstest.VIP(family), 80), 60)
				if x2, ok := netnstest.ChiSquare([]int{seen[first], seen[second]}, []float64{1, 1}); !ok || len(seen) != 2 {
					t.Errorf("IPv%d, %s: a backend sees %v, chi-square %.1f", family, network, seen, x2)
				}
				gateway := netnstest.Gateway(family).String()
				if seen = sourcesSeen(t, n, network, at(netnstest.VIP(family), 81), 3); seen[gateway] != 3 {
					t.Errorf("IPv%d, %s, masqueraded: a backend sees %v, not %s", family, network, seen, gateway)
				}
				if seen = sourcesSeen(t, n, network, at(netnstest.VIP(family), 82), 20); len(seen) != 1 {
					t.Errorf("IPv%d, %s, a range: a backend sees %v for one client", family, network, seen)
				}
			}
		}
	})
}

// TestSourcesStay takes a source address away and gives a service another one: what is open goes on as it began.
func TestSourcesStay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		addSources(t, n)
		host := newHost(t, variant)
		server := n.Serve(t, "tcp", 4, 80)[0]
		apply(t, host, service("web", 4, 80, 1, `snat = ["192.0.2.11", "192.0.2.12"]`))
		var open []*netnstest.Conversation
		for range 8 {
			open = append(open, netnstest.Converse(t, n.Client, "tcp", at(netnstest.VIP(4), 80)))
		}
		apply(t, host, service("web", 4, 80, 1, `snat = "192.0.2.12"`))
		for _, conversation := range open {
			if answered, err := conversation.Ask(2 * time.Second); err != nil || answered != server {
				t.Errorf("answered by %q, %v", answered, err)
			}
		}
		if seen := sourcesSeen(t, n, "tcp", at(netnstest.VIP(4), 80), 10); seen["192.0.2.12"] != 10 {
			t.Errorf("a backend sees %v", seen)
		}
	})
}

// TestSourceSpace holds the kernel to what a list is rendered for. With 100 ports an address, one client gets 100
// flows to one backend through one address, and no more through a range, as it gets one address of that alone;
// through two addresses by chance it gets the ports of both.
func TestSourceSpace(t *testing.T) {
	const first, second = "192.0.2.11", "192.0.2.12"
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true, Forward: true})
		addSources(t, n)
		tracked(t, variant)
		port := 9000
		for _, c := range []struct {
			sources []string // the last one takes what the others leave
			want    int
		}{{[]string{first}, 100}, {[]string{first + "-" + second}, 100}, {[]string{first, second}, 200}} {
			port++
			text := fmt.Sprintf("*nat\n-A PREROUTING -d 192.0.2.10/32 -p udp -m udp --dport %d -j DNAT --to-destination 10.0.0.1:%d\n", port, port)
			for i, source := range c.sources {
				chance := ""
				if i+1 < len(c.sources) {
					chance = "-m statistic --mode random --probability 0.5 "
				}
				text += fmt.Sprintf("-A POSTROUTING -d 10.0.0.1/32 -p udp -m udp --dport %d %s-j SNAT --to-source %s:1024-1123\n", port, chance, source)
			}
			n.Balancer.Command(t, text+"COMMIT\n", netnstest.Programs(string(variant), 4).Restore)
			send400(t, n, at(netnstest.VIP(4), port))
			var got int
			await.True(t, fmt.Sprintf("%d flows through %v", c.want, c.sources), func() bool { got = flowsTo(t, uint16(port)); return got >= c.want })
			if got != c.want {
				t.Errorf("%v: %d flows of one client, not %d", c.sources, got, c.want)
			}
		}
	})
}

// send400 begins 400 flows of one client.
func send400(t *testing.T, n *netnstest.Network, addr string) {
	t.Helper()
	n.Client.Do(t, func() {
		for range 400 {
			conn, err := net.Dial("udp", addr)
			hosttest.Must(t, err)
			t.Cleanup(func() { conn.Close() })
			_, err = conn.Write([]byte("?\n"))
			hosttest.Must(t, err)
		}
	})
}

// flowsTo counts the flows that were asked of a port of the balancer.
func flowsTo(t *testing.T, port uint16) (count int) {
	t.Helper()
	hosttest.Must(t, flows.Each(t.Context(), rules.IPv4, func(e flows.Entry) {
		if e.OrigDst.Port() == port {
			count++
		}
	}))
	return count
}
