package restore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/flows"
)

// taken is a connection of a client with a backend, and both of its ends.
type taken struct {
	client, server net.Conn
	place          int // of the backend
}

// says sends a line from one end, and tells whether the other end hears it.
func says(from, to net.Conn) error {
	if _, err := from.Write([]byte("x\n")); err != nil {
		return err
	}
	if err := to.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	_, err := bufio.NewReaderSize(to, 16).ReadString('\n')
	return err
}

// listenAll listens at a port of each backend, and returns what takes the server's end of the
// connection that a client has from an address.
func listenAll(t *testing.T, n *netnstest.Network, family, port int) func(client net.Addr) (net.Conn, int) {
	t.Helper()
	type accepted struct {
		conn  net.Conn
		place int
	}
	came := make(chan accepted, 100)
	for i, b := range n.Backends {
		var listener net.Listener
		var err error
		b.Host.Do(t, func() {
			var plain net.ListenConfig
			plain.SetMultipathTCP(false)
			listener, err = plain.Listen(context.Background(), "tcp", at(b.Addr(family), port))
		})
		hosttest.Must(t, err)
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				came <- accepted{conn, i}
			}
		}()
	}
	return func(client net.Addr) (net.Conn, int) {
		t.Helper()
		select {
		case a := <-came:
			t.Cleanup(func() { a.conn.Close() })
			if a.conn.RemoteAddr().String() != client.String() {
				t.Fatalf("a backend sees %v in place of %v", a.conn.RemoteAddr(), client)
			}
			return a.conn, a.place
		case <-time.After(hurry):
			t.Fatal("no backend has the connection")
		}
		return nil, 0
	}
}

// connect makes connections from a client to the service.
func connect(t *testing.T, n *netnstest.Network, accept func(net.Addr) (net.Conn, int), to string, many int) []taken {
	t.Helper()
	var all []taken
	for range many {
		var conn net.Conn
		var err error
		n.Client.Do(t, func() { conn, err = net.DialTimeout("tcp", to, hurry) })
		hosttest.Must(t, err)
		t.Cleanup(func() { conn.Close() })
		server, place := accept(conn.LocalAddr())
		all = append(all, taken{conn, server, place})
	}
	return all
}

// begunBy counts the entries of a protocol that begin at an address.
func begunBy(t *testing.T, family rules.Family, protocol flows.Protocol, address netip.Addr) (count int) {
	t.Helper()
	hosttest.Must(t, flows.Each(t.Context(), family, func(e flows.Entry) {
		if e.Protocol == protocol && e.OrigSrc.Addr() == address {
			count++
		}
	}))
	return count
}

// closeForward has FORWARD drop all that nobody lets through.
func closeForward(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, family := range rules.Families() {
		hosttest.IPTablesOn(t, variant, family, rules.Filter, "-P FORWARD DROP")
	}
}

// takeoverService is one of three backends that may take connections over.
func takeoverService(family int, backends ...string) string {
	return fmt.Sprintf("[[service]]\nname = \"web\"\nprotocol = [\"tcp\", \"udp\"]\nlisten = %q\nsnat = \"none\"\nalgorithm = \"flow\"\nslots = 64\nforward = \"accept\"\ntakeover = true\non_remove = \"reset\"\nbackends = [%s]\n",
		at(netnstest.VIP(family), 80), strings.Join(backends, ", "))
}

// quoted returns three backends, the one at a place written in a way of its own.
func quoted(family, place int, format string) []string {
	all := make([]string, 0, 3)
	for i := range 3 {
		form := "%q"
		if i == place {
			form = format
		}
		if form != "" {
			all = append(all, fmt.Sprintf(form, at(backend(family, i), 8080)))
		}
	}
	return all
}

// TestTakeover has connections that this balancer knows nothing of, as if another one had had
// them, while FORWARD drops: whoever speaks first, client or backend, both are heard. They count
// as connections of their backends from either side, and those of a drained backend stay there,
// while no new one goes there. What is taken out with on_remove is cut, from either side.
func TestTakeover(t *testing.T) {
	eachFamily(t, func(t *testing.T, variant rules.Variant, family int) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		host := newHost(t, variant)
		closeForward(t, variant)
		n.Balancer.Sysctl(t, "net.netfilter.nf_conntrack_tcp_loose", "1")
		all := takeoverService(family, quoted(family, -1, "")...)
		apply(t, host, all)
		accept := listenAll(t, n, family, 8080)
		vip := at(netnstest.VIP(family), 80)
		open := connect(t, n, accept, vip, 40)

		drained := takeoverService(family, quoted(family, 1, "{ address = %q, drain = true }")...)
		apply(t, host, drained)
		netnstest.ForgetConnections(t)
		var want [3]int
		reversed := 0
		for i, c := range open {
			want[c.place]++
			first, second := c.client, c.server
			if i%2 == 0 {
				first, second = second, first
				reversed++
			}
			if err := says(first, second); err != nil {
				t.Errorf("connection %d at backend %d, begun by the backend %v: %v", i, c.place, i%2 == 0, err)
			}
			if err := says(second, first); err != nil {
				t.Errorf("connection %d at backend %d, begun by the backend %v: no answer: %v", i, c.place, i%2 == 0, err)
			}
		}
		if want[1] < 2 {
			t.Fatalf("the backends have %v connections", want)
		}
		begun := 0
		for i := range 3 {
			begun += begunBy(t, families[family], flows.TCP, backend(family, i))
		}
		if begun != reversed {
			t.Errorf("%d entries begin at a backend, not %d", begun, reversed)
		}
		services := hosttest.Services(t, drained)
		counts, err := flows.CountConnections(t.Context(), services)
		if hosttest.Must(t, err); [3]int(counts[0]) != want {
			t.Errorf("%v connections are counted, not %v", counts[0], want)
		}
		for _, c := range connect(t, n, accept, vip, 40) {
			if c.place == 1 {
				t.Error("a new connection is at the drained backend")
			}
		}
		result := apply(t, host, takeoverService(family, quoted(family, 1, "")...))
		if left := begunBy(t, families[family], flows.TCP, backend(family, 1)); result.DeletedEntries != want[1] || left != 0 {
			t.Errorf("%d entries of what was taken out are deleted, not %d, and %d are left", result.DeletedEntries, want[1], left)
		}
	})
}

// TestTakeoverDown has a backend go down while its server and its client are both alive, and the
// server says something first. With on_down = "keep" the client hears it. With "reset" it does not,
// and its own next packet is answered by a reset.
func TestTakeoverDown(t *testing.T) {
	eachFamily(t, func(t *testing.T, variant rules.Variant, family int) {
		for _, onDown := range []config.OnDown{config.Keep, config.ResetDown} {
			t.Run(string(onDown), func(t *testing.T) {
				n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
				host := newHost(t, variant)
				closeForward(t, variant)
				n.Balancer.Sysctl(t, "net.netfilter.nf_conntrack_tcp_loose", "1")
				toml := takeoverService(family, quoted(family, -1, "")...) + fmt.Sprintf("check = \"tcp\"\non_down = %q\n", onDown)
				apply(t, host, toml)
				open := connect(t, n, listenAll(t, n, family, 8080), at(netnstest.VIP(family), 80), 20)

				cfg := hosttest.Config(t, toml)
				cfg.Services[0].Backends[1].Out = true
				down := overlay(t, host, toml)
				down.Tables = render.New(cfg)
				freed := restore.Freed{Before: used(t, toml), After: used(t, without(toml, at(backend(family, 1), 8080)))}
				freed.After[0].Reset = onDown == config.ResetDown
				_, err := host.LoadOverlay(t.Context(), down, freed)
				hosttest.Must(t, err)
				at := [3]int{}
				for i, c := range open {
					at[c.place]++
					if c.place != 1 || onDown == config.Keep {
						if err := errors.Join(says(c.server, c.client), says(c.client, c.server)); err != nil {
							t.Errorf("connection %d at backend %d: %v", i, c.place, err)
						}
						continue
					}
					_, err := c.server.Write([]byte("x\n"))
					hosttest.Must(t, err)
					if err := says(c.client, c.client); !errors.Is(err, unix.ECONNRESET) {
						t.Errorf("the client of connection %d is not cut: %v", i, err)
					}
				}
				if at[1] == 0 {
					t.Fatalf("the backends have %v connections", at)
				}
			})
		}
	})
}

// TestTakeoverWithout has the same connections without takeover: those whose backend speaks
// first hear nothing, or the test before would show nothing.
func TestTakeoverWithout(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		host := newHost(t, variant)
		apply(t, host, strings.Replace(takeoverService(4, quoted(4, -1, "")...), "takeover = true\n", "", 1))
		accept := listenAll(t, n, 4, 8080)
		open := connect(t, n, accept, at(netnstest.VIP(4), 80), 3)
		netnstest.ForgetConnections(t)
		for _, c := range open {
			if says(c.server, c.client) == nil {
				t.Error("a client hears a backend that speaks first")
			}
		}
	})
}

// TestTakeoverDatagrams has the server of each of some flows speak first over UDP. Each flow
// counts at its backend; it moves when the backend is taken out, and all end at stop.
func TestTakeoverDatagrams(t *testing.T) {
	eachFamily(t, func(t *testing.T, variant rules.Variant, family int) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		host := newHost(t, variant)
		closeForward(t, variant)
		all := takeoverService(family, quoted(family, -1, "")...)
		apply(t, host, all)
		client := netnstest.ClientAddr(family, 0)
		var heard net.PacketConn
		var err error
		n.Client.Do(t, func() { heard, err = net.ListenPacket("udp", at(client, 5000)) })
		hosttest.Must(t, err)
		t.Cleanup(func() { heard.Close() })
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 5000))
		// One flow only: what the first backend says leaves as the service's address and port.
		var server net.PacketConn
		n.Backends[0].Host.Do(t, func() { server, err = net.ListenPacket("udp", at(backend(family, 0), 8080)) })
		hosttest.Must(t, err)
		t.Cleanup(func() { server.Close() })
		speak := func() (from string) {
			t.Helper()
			_, err := server.WriteTo([]byte("x"), to)
			hosttest.Must(t, err)
			hosttest.Must(t, heard.SetReadDeadline(time.Now().Add(2*time.Second)))
			_, sender, err := heard.ReadFrom(make([]byte, 8))
			hosttest.Must(t, err)
			return sender.String()
		}
		if from, vip := speak(), at(netnstest.VIP(family), 80); from != vip {
			t.Errorf("the client hears %s, not %s", from, vip)
		}
		services := hosttest.Services(t, all)
		counts, err := flows.CountConnections(t.Context(), services)
		if hosttest.Must(t, err); counts[1][0] != 1 {
			t.Errorf("%v flows are counted", counts)
		}
		entries := func() int { return begunBy(t, families[family], flows.UDP, backend(family, 0)) }
		if result := apply(t, host, takeoverService(family, quoted(family, 0, "")...)); result.DeletedEntries != 1 || entries() != 0 {
			t.Errorf("%d entries are deleted, %d are left", result.DeletedEntries, entries())
		}
		apply(t, host, all)
		speak()
		stopped, err := host.Stop(t.Context())
		if hosttest.Must(t, err); stopped.DeletedEntries != 1 || entries() != 0 {
			t.Errorf("at stop %d entries are deleted, %d are left", stopped.DeletedEntries, entries())
		}
	})
}

// TestTakeoverPorts has a backend that keeps ports speak first at two of a range: each leaves as
// the same port of the service's address.
func TestTakeoverPorts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true, Backends: 1})
		host := newHost(t, variant)
		apply(t, host, "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:8000-8010\"\nsnat = \"none\"\ntakeover = true\nbackends = [\"10.0.0.1\"]\n")
		for _, port := range []int{8000, 8010} {
			accept := listenAll(t, n, 4, port)
			c := connect(t, n, accept, at(netnstest.VIP(4), port), 1)[0]
			netnstest.ForgetConnections(t)
			if err := says(c.server, c.client); err != nil {
				t.Errorf("port %d: %v", port, err)
			}
			if err := says(c.client, c.server); err != nil {
				t.Errorf("port %d: %v", port, err)
			}
		}
	})
}

// TestTakeoverDrained has connections of another balancer with backends that are all drained, of
// a service with slots and of one with one backend: they go on, and a new one is refused.
func TestTakeoverDrained(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		host := newHost(t, variant)
		closeForward(t, variant)
		accept := listenAll(t, n, 4, 8080)
		vip := at(netnstest.VIP(4), 80)
		three := takeoverService(4, quoted(4, -1, "")...)
		one := strings.Replace(takeoverService(4, quoted(4, -1, "")[0]), "algorithm = \"flow\"\nslots = 64\n", "", 1)
		for name, text := range map[string]string{"three": three, "one": one} {
			apply(t, host, text)
			open := connect(t, n, accept, vip, 12)
			all := "{ address = $1, drain = true }"
			apply(t, host, regexp.MustCompile(`("10[^"]*")`).ReplaceAllString(text, all))
			netnstest.ForgetConnections(t)
			for i, c := range open {
				first, second := c.client, c.server
				if i%2 == 0 {
					first, second = second, first
				}
				if err := errors.Join(says(first, second), says(second, first)); err != nil {
					t.Errorf("%s, connection %d: %v", name, i, err)
				}
			}
			n.Client.Do(t, func() {
				if conn, err := net.DialTimeout("tcp", vip, hurry); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("%s: a new connection: %v, %v", name, conn, err)
				}
			})
		}
	})
}
