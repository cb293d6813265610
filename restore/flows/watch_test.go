package flows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// watchedHost makes the calling test's namespace a host that answers at 10.0.0.1 and fd00::1, and
// at no address of 10.1.0.0/16 and fd01::/64. Its rules lead port 80 of the service's address to
// the first and 81 to a silent one; port 82 keeps its number.
func watchedHost(t *testing.T) {
	t.Helper()
	self := netnstest.Self()
	self.Command(t, `route add local 10.1.0.0/16 dev lo
route add local fd01::/64 dev lo
addr add 10.0.0.1/32 dev lo
addr add fd00::1/128 dev lo nodad
addr add 192.0.2.10/32 dev lo
addr add 2001:db8::10/128 dev lo nodad
`, "ip", "-batch", "-")
	for family, to := range map[int][]string{4: {"192.0.2.10", "10.0.0.1", "10.1.0.1", "10.1.0.0/16"}, 6: {"2001:db8::10", "[fd00::1]", "[fd01::1]", "fd01::/64"}} {
		program := netnstest.Programs("nft", family).Iptables
		self.Command(t, "", program, "-A", "INPUT", "-d", to[3], "-j", "DROP")
		for _, rule := range [][]string{{"80", to[1] + ":80"}, {"81", to[2] + ":80"}, {"82", to[1]}} {
			self.Command(t, "", program, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", to[0], "--dport", rule[0], "-j", "DNAT", "--to-destination", rule[1])
		}
	}
}

// keepOpen connects to an address, and stays connected until the test ends.
func keepOpen(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
}

// unheard sends the first packet of a connection to an address at which everybody is silent.
func unheard(t *testing.T, address string) {
	t.Helper()
	to := netip.MustParseAddrPort(address)
	family, end := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(to.Port())})
	if to.Addr().Is6() {
		family, end = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	} else {
		end.(*unix.SockaddrInet4).Addr = to.Addr().As4()
	}
	socket, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	if err := unix.Connect(socket, end); !errors.Is(err, unix.EINPROGRESS) {
		t.Fatalf("%s: %v", address, err)
	}
}

// set returns addresses as a set.
func set(addresses ...string) map[netip.AddrPort]bool {
	all := map[netip.AddrPort]bool{}
	for _, address := range addresses {
		all[netip.MustParseAddrPort(address)] = true
	}
	return all
}

// TestWatch looks at connections that are answered and that are not, in both families: what is
// new since the look before, what belongs to a backend without a port, and which of the host's
// own are deleted.
func TestWatch(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	watchedHost(t)
	for family, a := range map[rules.Family]struct{ vip, good, silent, client string }{
		rules.IPv4: {"192.0.2.10:", "10.0.0.1:", "10.1.0.%d:80", "198.51.100.7:1000"},
		rules.IPv6: {"[2001:db8::10]:", "[fd00::1]:", "[fd01::%d]:80", "[2001:db8::99]:1000"},
	} {
		silent := func(n int) string { return fmt.Sprintf(a.silent, n) }
		for _, port := range []string{"80", "82"} {
			netnstest.Serve(t, netnstest.Self(), "tcp", a.good+port)
		}
		of := Watched{Backends: set(a.good+"80", a.good+"0", silent(1), silent(9)), Down: set(silent(2), a.good+"80")}
		var w Watch
		look := func(want map[string]Connections, deleted int) {
			t.Helper()
			seen, err := w.Look(t.Context(), of)
			wanted := map[netip.AddrPort]Connections{}
			for address, c := range want {
				wanted[netip.MustParseAddrPort(address)] = c
			}
			if diff := cmp.Diff(wanted, seen.Backends, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); err != nil || diff != "" || seen.Deleted != deleted {
				t.Fatalf("%s: %v, %d deleted\n%s", family, err, seen.Deleted, diff)
			}
		}
		for range 3 {
			keepOpen(t, a.vip+"80")
		}
		keepOpen(t, a.vip+"82")
		keepOpen(t, a.good+"80") // as a check: down or not, it was answered
		unheard(t, a.vip+"81")
		unheard(t, a.vip+"81")
		unheard(t, silent(2)) // a check of what is down
		unheard(t, silent(3)) // somebody else's
		netnstest.Track(t, 2, "tcp "+a.client+" "+silent(2)+" "+silent(2))
		// Picked up in the middle: one where the backend spoke first, and one where it has not spoken yet.
		netnstest.Track(t, nl.TCP_CONNTRACK_ESTABLISHED, fmt.Sprintf("tcp %s80 %s %s %s80", a.good, a.client, a.client, a.vip), fmt.Sprintf("tcp %s %s81 %s", a.client, a.vip, silent(1)))
		look(map[string]Connections{a.good + "80": {4, 0}, a.good + "0": {1, 0}, silent(1): {0, 2}}, 1)
		left := trackedLines(t)
		look(map[string]Connections{a.good + "80": {}, a.good + "0": {}, silent(1): {0, 2}}, 0)
		if diff := cmp.Diff(left, trackedLines(t)); diff != "" {
			t.Errorf("%s: the second look changed entries\n%s", family, diff)
		}
		keepOpen(t, a.vip+"80")
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := w.Look(ended, of); err == nil {
			t.Errorf("%s: a look that was ended saw all", family)
		}
		unheard(t, silent(2))
		look(map[string]Connections{a.good + "80": {1, 0}, a.good + "0": {}, silent(1): {0, 2}}, 1)
	}
}

// TestWatchNothing has nothing to look at: the kernel is not asked for its table.
func TestWatchNothing(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Track(t, 2, "tcp 192.0.2.99:1000 10.0.0.1:80 10.0.0.1:80")
	var w Watch
	if seen, err := w.Look(t.Context(), Watched{}); err != nil || seen.Entries != 0 {
		t.Errorf("%+v, %v", seen, err)
	}
	seen, err := w.Look(t.Context(), Watched{Backends: set("10.0.0.9:80")})
	if err != nil || seen.Entries != 1 || len(seen.Backends) != 0 {
		t.Errorf("%+v, %v", seen, err)
	}
}

// TestWatchSilent asks 1,000 silent backends time and again. Looks keep the table of the kernel
// as it was; without them each backend leaves an entry for 120 s each time.
func TestWatchSilent(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	watchedHost(t)
	const many, rounds = 1000, 3
	for family, format := range map[rules.Family]string{rules.IPv4: "10.1.%d.%d:80", rules.IPv6: "[fd01::%x:%x]:80"} {
		of := Watched{Down: map[netip.AddrPort]bool{}}
		for i := range many {
			of.Down[netip.MustParseAddrPort(fmt.Sprintf(format, 1+i/250, 1+i%250))] = true
		}
		ask := func() {
			for target := range of.Down {
				unheard(t, target.String())
			}
		}
		entries := func() (n int) {
			if err := Each(t.Context(), family, func(Entry) { n++ }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := entries()
		var w Watch
		for range rounds {
			ask()
			if seen, err := w.Look(t.Context(), of); err != nil || seen.Deleted != many {
				t.Errorf("%s: %d deleted, %v", family, seen.Deleted, err)
			}
		}
		if n := entries(); n != before {
			t.Errorf("%s: %d entries are left", family, n-before)
		}
		ask()
		if n := entries(); n != before+many {
			t.Errorf("%s: without a look %d entries are left", family, n-before)
		}
		if seen, err := w.Look(t.Context(), of); err != nil || seen.Deleted != many {
			t.Errorf("%s: %d deleted, %v", family, seen.Deleted, err)
		}
	}
}
