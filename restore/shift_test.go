package restore_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// shiftConfig has services whose ranges shift: one range, two with turns, a map of ports, and one on every
// address of the host. The third backend keeps the ports of one of the two ranges.
const shiftConfig = `[pool.two]
backends = ["10.0.0.1:9000-9010", "10.0.0.2:9000-9010", "[fd00::1]:9000-9010", "[fd00::2]:9000-9010"]

[[service]]
name     = "game"
listen   = ["192.0.2.10:8000-8010", "[2001:db8::10]:8000-8010"]
protocol = ["tcp", "udp"]
pool     = "two"

[[service]]
name      = "two"
listen    = ["192.0.2.10:8100-8110", "192.0.2.10:9100-9110", "[2001:db8::10]:8100-8110", "[2001:db8::10]:9100-9110"]
protocol  = ["tcp", "udp"]
backends  = ["10.0.0.1:9000-9010", "10.0.0.3:9100-9110", "[fd00::1]:9000-9010", "[fd00::3]:9100-9110"]
algorithm = "round-robin"

[[service]]
name     = "mapped"
listen   = ["192.0.2.10", "2001:db8::10"]
protocol = ["tcp", "udp"]
ports    = { 80 = 9000, 8200-8209 = "9001-9010", 9150 = 9100 }
backends = ["10.0.0.1", "10.0.0.3", "fd00::1", "fd00::3"]

[[service]]
name     = "any"
listen   = "*:8300-8310"
protocol = ["tcp", "udp"]
pool     = "two"
`

// TestShiftedRanges asks each port of ranges that shift, from outside and from the balancer: whichever
// backend answers does so at the port that belongs to the one that was asked. Ports beside the ranges are
// nobody's.
func TestShiftedRanges(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		n.Balancer.Sysctl(t, "net.ipv4.icmp_ratelimit", "0") // else UDP is refused now and then only
		n.Balancer.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
		for port := range 11 {
			for _, family := range []int{4, 6} {
				for _, network := range transports {
					n.Serve(t, network, family, 9000+port)
					n.Serve(t, network, family, 9100+port)
				}
			}
		}
		host := newHost(t, variant)
		apply(t, host, shiftConfig)
		wantInSync(t, host)
		for _, family := range []int{4, 6} {
			for _, network := range transports {
				for port := range 11 {
					mustLand(t, n, network, family, 8000+port, map[int]int{0: 9000 + port, 1: 9000 + port}, 20)
					mustLand(t, n, network, family, 8100+port, map[int]int{0: 9000 + port, 2: 9100 + port}, 4)
					mustLand(t, n, network, family, 9100+port, map[int]int{0: 9000 + port, 2: 9100 + port}, 4)
					mustLand(t, n, network, family, 8300+port, map[int]int{0: 9000 + port, 1: 9000 + port}, 5)
				}
				for port := range 10 {
					mustLand(t, n, network, family, 8200+port, map[int]int{0: 9001 + port, 2: 9001 + port}, 5)
				}
				mustLand(t, n, network, family, 80, map[int]int{0: 9000, 2: 9000}, 5)
				for _, port := range []int{7999, 8011, 8099, 8111, 9099, 9111, 8199, 8210, 8311} {
					wantRefused(t, n.Client, network, at(netnstest.VIP(family), port))
				}
			}
		}
	})
}

// mustLand asks a port of the balancer many times, and once from the balancer itself. Each answer is of a
// backend, by its place, at its port.
func mustLand(t *testing.T, n *netnstest.Network, network string, family, asked int, ports map[int]int, times int) {
	t.Helper()
	servers := map[string]bool{}
	for place, port := range ports {
		servers[at(backend(family, place), port)] = true
	}
	for _, from := range []*netnstest.Host{n.Client, n.Balancer} {
		for server, count := range netnstest.AskMany(t, from, network, at(netnstest.VIP(family), asked), times, 2) {
			if !servers[server] {
				t.Errorf("%s %d was answered %d times by %s", network, asked, count, server)
			}
		}
		times = 1
	}
}

// TestShiftFacts holds the kernel and iptables to what the rules are made for: a range without the first port
// that was asked leads everything to its first port, ports beside it wrap around, and neither a range of one
// port nor a REDIRECT can shift.
func TestShiftFacts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		for _, port := range []int{9000, 9003, 9007, 9010} {
			n.Serve(t, "tcp", 4, port)
		}
		programs := netnstest.Programs(string(variant), 4)
		load := func(target string) {
			t.Helper()
			text := fmt.Sprintf("*nat\n-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 7998:8012 -j %s\n-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE\nCOMMIT\n", target)
			n.Balancer.Command(t, text, programs.Restore)
		}
		n.Balancer.Sysctl(t, "net.ipv4.ip_forward", "1")
		load("DNAT --to-destination 10.0.0.1:9000-9010")
		wantAnswer(t, n.Client, "tcp", "192.0.2.10:8003", "10.0.0.1:9000", netnstest.Gateway(4))
		load("DNAT --to-destination 10.0.0.1:9000-9010/8000")
		for asked, answers := range map[int]int{8000: 9000, 8003: 9003, 8010: 9010, 7998: 9007, 8011: 9000} {
			wantAnswer(t, n.Client, "tcp", at(netnstest.VIP(4), asked), fmt.Sprint("10.0.0.1:", answers), netnstest.Gateway(4))
		}
		for _, target := range []string{"DNAT --to-destination 10.0.0.1:9000/8000", "REDIRECT --to-ports 9000-9010/8000"} {
			n.Balancer.Do(t, func() {
				load := exec.CommandContext(t.Context(), programs.Restore, "--noflush")
				load.Stdin = strings.NewReader("*nat\n-A PREROUTING -p tcp -m tcp --dport 8000:8010 -j " + target + "\nCOMMIT\n")
				if out, err := load.CombinedOutput(); err == nil {
					t.Errorf("%s was loaded: %s", target, out)
				}
			})
		}
	})
}

// TestShiftedFlowsMove takes the range of a backend away and gives it another one: a UDP flow goes on while its
// port stays, and moves at once when that is another.
func TestShiftedFlowsMove(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		for _, port := range []int{9003, 9103} {
			n.Serve(t, "udp", 4, port)
		}
		host := newHost(t, variant)
		config := `[[service]]
name     = "game"
listen   = ["192.0.2.10:8000-8010"]
protocol = "udp"
backends = ["10.0.0.1:9000-9010"]
`
		apply(t, host, config)
		flow := netnstest.Converse(t, n.Client, "udp", "192.0.2.10:8003")
		want := func(server string) {
			t.Helper()
			if answered, err := flow.Ask(2 * time.Second); err != nil || answered != server {
				t.Errorf("the flow was answered by %q, %v; want %s", answered, err, server)
			}
		}
		want("10.0.0.1:9003")
		apply(t, host, config+`snat = "192.0.2.10"`+"\n")
		want("10.0.0.1:9003")
		apply(t, host, strings.Replace(config, "9000-9010", "9100-9110", 1))
		want("10.0.0.1:9103")
	})
}

// TestShiftedMeet has a client ask two listen addresses, which lead to one port of a backend, from one port of
// its own. Where the backend sees the client's address the kernel takes the next port of the range for the second
// one, as the manual says.
func TestShiftedMeet(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		for _, port := range []int{9003, 9004} {
			n.Serve(t, "udp", 4, port)
		}
		for snat, want := range map[string]string{"masquerade": "10.0.0.1:9003 10.0.0.1:9003", "none": "10.0.0.1:9003 10.0.0.1:9004"} {
			apply(t, newHost(t, variant), fmt.Sprintf(`[[service]]
name     = "game"
listen   = ["192.0.2.10:8000-8010", "192.0.2.10:8100-8110"]
protocol = "udp"
backends = ["10.0.0.1:9000-9010"]
snat     = %q
`, snat))
			if got := strings.Join(askFromOne(t, n.Client, 40000+len(snat), 8003, 8103), " "); got != want {
				t.Errorf("snat %s: answered by %s, want %s", snat, got, want)
			}
		}
	})
}

// askFromOne asks ports of the balancer by UDP from one port, and returns who answered.
func askFromOne(t *testing.T, from *netnstest.Host, own int, ports ...uint16) (answers []string) {
	t.Helper()
	from.Do(t, func() {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: own})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, port := range ports {
			conn.SetDeadline(time.Now().Add(2 * time.Second))
			buffer := make([]byte, 512)
			if _, err := conn.WriteToUDPAddrPort([]byte("?\n"), netip.AddrPortFrom(netnstest.VIP(4), port)); err != nil {
				t.Error(err)
			}
			length, _, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				t.Error(err)
			}
			server, _, _ := strings.Cut(string(buffer[:length]), " ")
			answers = append(answers, server)
		}
	})
	return answers
}
