package netnstest

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// at writes an address and port as programs do.
func at(addr netip.Addr, port int) string {
	return netip.AddrPortFrom(addr, uint16(port)).String()
}

func TestNetworkRoutesBothWays(t *testing.T) {
	for _, l := range []Layout{
		{Gateway: true, Forward: true},
		{Gateway: true, Forward: true, Separate: true, Backends: 4, Clients: 2},
	} {
		t.Run(fmt.Sprintf("separate=%v", l.Separate), func(t *testing.T) {
			if !Isolate(t) {
				return
			}
			n := NewNetwork(t, l)
			n.Client.Command(t, "route add 10.0.0.0/24 via 192.0.2.10\nroute add fd00::/64 via 2001:db8::10\n", "ip", "-batch", "-")
			for _, family := range []int{4, 6} {
				for _, network := range []string{"tcp", "udp"} {
					servers := n.Serve(t, network, family, 80)
					for i, b := range n.Backends {
						client := ClientAddr(family, max(l.Clients, 1)-1)
						wantAnswer(t, n.Client.At(client), network, servers[i], client)
						onClient := Serve(t, n.Client, network, at(client, 0))
						wantAnswer(t, b.Host.At(b.Addr(family)), network, onClient, b.Addr(family))
						wantAnswer(t, n.Balancer, network, servers[i], Gateway(family))
					}
				}
			}
		})
	}
}

// wantAnswer asks once.
func wantAnswer(t *testing.T, from *Host, network, addr string, wantPeer netip.Addr) {
	t.Helper()
	backend, peer, err := Ask(t, from, network, addr, 2*time.Second)
	if err != nil || backend != addr || peer != wantPeer.String() {
		t.Errorf("%s %s answered as %q to %q, %v; want to %v", network, addr, backend, peer, err, wantPeer)
	}
}

func TestNoAnswerIsAnError(t *testing.T) {
	if !Isolate(t) {
		return
	}
	n := NewNetwork(t, Layout{Gateway: true})
	n.Client.Command(t, "", "ip", "route", "add", "10.0.0.0/24", "via", "192.0.2.10")
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range []string{
			n.Serve(t, network, 4, 80)[0], // the balancer doesn't forward
			at(VIP(4), 81),                // nobody listens
		} {
			backend, peer, err := Ask(t, n.Client, network, addr, 100*time.Millisecond)
			if err == nil {
				t.Errorf("%s %s answered as %q to %q, want an error", network, addr, backend, peer)
			}
		}
	}
}

// TestBalance is what the package is for: real rules, real connections. That
// turns come out exactly shows that no question meets an earlier one's entry.
func TestBalance(t *testing.T) {
	for _, variant := range Variants(t) {
		for _, family := range []int{4, 6} {
			for _, network := range []string{"tcp", "udp"} {
				t.Run(fmt.Sprintf("%s/ipv%d/%s", variant, family, network), func(t *testing.T) {
					if !Isolate(t) {
						return
					}
					n := NewNetwork(t, Layout{Backends: 2, Gateway: true, Forward: true})
					servers := n.Serve(t, network, family, 80)
					tools := Programs(variant, family)
					load := func(match string) {
						Self().Command(t, fmt.Sprintf(`*nat
-A PREROUTING -d %v -p %s --dport 80 -m statistic --mode %s -j DNAT --to-destination %s
-A PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s
COMMIT
`, VIP(family), network, match, servers[0], VIP(family), network, servers[1]), tools.Restore)
					}
					load("nth --every 2 --packet 0")
					for range 2 {
						counts := AskMany(t, n.Client, network, at(VIP(family), 80), 200, 4).Of(servers)
						if len(counts) != 2 || counts[0] != 100 || counts[1] != 100 {
							t.Errorf("turns: %v, want 100 each", counts)
						}
					}
					load("random --probability 0.25")
					counts := AskMany(t, n.Client, network, at(VIP(family), 80), 400, 4).Of(servers)
					if x2, ok := ChiSquare(counts, []float64{1, 3}); !ok {
						t.Errorf("spread %v, want 1 to 3: chi-square %.1f", counts, x2)
					}
				})
			}
		}
	}
}

// TestHairpin shows that separate backends talk past the balancer: the reply to
// a backend that asks the VIP doesn't come back through it.
func TestHairpin(t *testing.T) {
	if !Isolate(t) {
		return
	}
	n := NewNetwork(t, Layout{Backends: 2, Separate: true, Gateway: true, Forward: true})
	servers := n.Serve(t, "tcp", 4, 80)
	ask := func() error {
		_, _, err := Ask(t, n.Backends[0].Host, "tcp", at(VIP(4), 80), 200*time.Millisecond)
		return err
	}
	tool := Programs(Variants(t)[0], 4).Iptables
	Self().Command(t, "", tool, "-t", "nat", "-A", "PREROUTING", "-d", "192.0.2.10", "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", servers[1])
	if err := ask(); err == nil {
		t.Error("answered without masquerade")
	}
	Self().Command(t, "", tool, "-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/24", "-d", "10.0.0.0/24", "-j", "MASQUERADE")
	if err := ask(); err != nil {
		t.Errorf("with masquerade: %v", err)
	}
}

func TestNetworkTwice(t *testing.T) {
	if !Isolate(t) {
		return
	}
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			n := NewNetwork(t, Layout{Separate: i == 1})
			wantAnswer(t, n.Balancer, "tcp", n.Serve(t, "tcp", 6, 80)[2], Gateway(6))
		})
	}
}

func TestHostsAreApart(t *testing.T) {
	if !Isolate(t) {
		return
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	hosts := []*Host{Self(), NewHost(t, "a"), NewHost(t, "b")}
	var mu sync.Mutex
	seen := map[string]int{}
	var wait sync.WaitGroup
	for _, h := range hosts {
		for range 50 {
			wait.Go(func() {
				if err := h.Host.Do(func() error {
					namespace, err := os.Readlink("/proc/thread-self/ns/net")
					mu.Lock()
					defer mu.Unlock()
					seen[namespace]++
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	if len(seen) != len(hosts) || seen[own] != 50 {
		t.Errorf("seen %v, own %s", seen, own)
	}
	if now, err := os.Readlink("/proc/self/ns/net"); now != own {
		t.Errorf("the process moved from %s to %s, %v", own, now, err)
	}
}

func TestServerAnswersEveryLineUntilTheEnd(t *testing.T) {
	if !Isolate(t) {
		return
	}
	var conn net.Conn
	t.Run("server", func(t *testing.T) {
		addr := Serve(t, Self(), "tcp", "127.0.0.1:0")
		var err error
		if conn, err = net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(conn)
		for range 3 {
			if line, err := lines.ReadString('\n'); line != addr+" 127.0.0.1\n" {
				t.Errorf("line %q, %v", line, err)
			}
			fmt.Fprintln(conn, "once more")
		}
	})
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, err := conn.Read(make([]byte, 1<<10)); err == nil; _, err = conn.Read(make([]byte, 1<<10)) {
	}
	if _, err := conn.Read(make([]byte, 1)); os.IsTimeout(err) {
		t.Error("the connection outlives its server")
	}
	conn.Close()
}
