package netnstest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/traffic"
)

const (
	// Front is the balancer's interface towards the clients.
	Front = "front"

	// Back is the balancer's interface towards the backends.
	Back = "back"

	// maxBackends keeps backends below the balancer's own 10.0.0.254.
	maxBackends = 250

	// maxClients keeps client addresses within 192.0.2.99-254.
	maxClients = 150
)

// Layout says what NewNetwork builds.
type Layout struct {
	Backends int  // how many backend addresses; 0 means 3
	Clients  int  // how many client addresses; 0 means 1
	Separate bool // each backend is a host of its own, on a switch: hairpin needs it
	Gateway  bool // the backends' default route is the balancer: snat "none" needs it
	Forward  bool // the balancer forwards both families
}

// Network is a balancer between one network of clients and one of backends,
// with IPv4 and IPv6 on each. The balancer is the test's own namespace.
type Network struct {
	Balancer *Host
	Client   *Host
	Backends []Backend

	bridge *Host   // nil unless the backends are separate
	beyond []*Host // each backend's host once
}

// Backend is one backend's host and its place in the network, from 1.
type Backend struct {
	Host   *Host
	number int
}

// Addr is the backend's address: 10.0.0.1 and fd00::1 are the first one's.
func (b Backend) Addr(family int) netip.Addr { return numbered(family, "10.0.0.", "fd00::", b.number) }

// VIP is the address on the balancer that clients ask: 192.0.2.10 or 2001:db8::10.
func VIP(family int) netip.Addr { return numbered(family, "192.0.2.", "2001:db8::", 10) }

// Gateway is the balancer's address beside the backends: 10.0.0.254 or fd00::254.
func Gateway(family int) netip.Addr { return numbered(family, "10.0.0.", "fd00::", 254) }

// ClientAddr is the client's address number i, from 0: 192.0.2.99 or 2001:db8::99.
func ClientAddr(family, i int) netip.Addr {
	return numbered(family, "192.0.2.", "2001:db8::", 99+i)
}

// numbered writes the same decimal digits behind either family's network.
func numbered(family int, network4, network6 string, n int) netip.Addr {
	network := network4
	if family == 6 {
		network = network6
	}
	return netip.MustParseAddr(fmt.Sprint(network, n))
}

// NewNetwork builds the network in the test's own namespace and new hosts named
// client, backends (or switch, backend1, backend2 ...), and waits until its
// links carry packets.
func NewNetwork(t testing.TB, l Layout) *Network {
	t.Helper()
	l.Backends, l.Clients = max(l.Backends, 0), max(l.Clients, 1)
	if l.Backends == 0 {
		l.Backends = 3
	}
	if l.Backends > maxBackends || l.Clients > maxClients {
		t.Fatalf("cannot build a network of %d backends and %d clients: at most %d and %d fit", l.Backends, l.Clients, maxBackends, maxClients)
	}
	n := &Network{Balancer: Self(), Client: NewHost(t, "client")}
	n.addBackends(t, l)
	t.Cleanup(func() { // links go some time after their namespace: the next ones' names would clash
		_, err := n.Balancer.run(context.Background(), "link del "+Front+"\nlink del "+Back+"\n", "ip", "-batch", "-")
		if err != nil {
			t.Error(err)
		}
	})
	if err := n.configure(l); err != nil {
		t.Fatal(err)
	}
	if l.Forward {
		n.Balancer.Sysctl(t, "net.ipv4.ip_forward", "1")
		n.Balancer.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	}
	return n
}

// addBackends makes the backends' hosts. The switch is a host too: a bridge on
// the balancer would pass its frames through the balancer's iptables.
func (n *Network) addBackends(t testing.TB, l Layout) {
	t.Helper()
	if l.Separate {
		n.bridge = NewHost(t, "switch")
	} else {
		n.beyond = []*Host{NewHost(t, "backends")}
	}
	for i := 1; i <= l.Backends; i++ {
		if l.Separate {
			n.beyond = append(n.beyond, NewHost(t, fmt.Sprint("backend", i)))
		}
		n.Backends = append(n.Backends, Backend{Host: n.beyond[len(n.beyond)-1], number: i})
	}
}

// configure connects the hosts, and gives every host its addresses and routes.
func (n *Network) configure(l Layout) error {
	steps := []error{n.Balancer.Connect(Front, n.Client.Host, "eth0"), n.plug()}
	for _, family := range []int{4, 6} {
		steps = append(steps, n.Balancer.AddAddresses(Front, subnet(VIP(family))), n.Balancer.AddAddresses(Back, subnet(Gateway(family))))
		for i := range l.Clients {
			steps = append(steps, n.Client.AddAddresses("eth0", subnet(ClientAddr(family, i))))
		}
		for _, b := range n.Backends {
			steps = append(steps, b.Host.AddAddresses("eth0", subnet(b.Addr(family))))
		}
		for _, h := range n.beyond {
			if l.Gateway {
				every := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
				if family == 4 {
					every = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
				}
				steps = append(steps, h.AddRoutes("eth0", Gateway(family), every))
			}
		}
	}
	return errors.Join(steps...)
}

// plug joins the balancer and the backends, by a switch if there is one.
func (n *Network) plug() error {
	if n.bridge == nil {
		return n.Balancer.Connect(Back, n.beyond[0].Host, "eth0")
	}
	ports := []string{"port0"}
	steps := []error{n.Balancer.Connect(Back, n.bridge.Host, ports[0])}
	for i, h := range n.beyond {
		ports = append(ports, fmt.Sprint("port", i+1))
		steps = append(steps, n.bridge.Connect(ports[i+1], h.Host, "eth0"))
	}
	return errors.Join(append(steps, n.bridge.Bridge(ports...))...)
}

// subnet is an address in its network: /24, or /64 for IPv6.
func subnet(address netip.Addr) netip.Prefix {
	if address.Is6() {
		return netip.PrefixFrom(address, 64)
	}
	return netip.PrefixFrom(address, 24)
}

// Serve serves on the host until t ends, as traffic.Serve does, and returns the address.
func Serve(t testing.TB, h *Host, network, addr string) string {
	t.Helper()
	var at string
	var stop func()
	var err error
	h.Do(t, func() { at, stop, err = traffic.Serve(network, addr) })
	if err != nil {
		t.Fatalf("cannot serve %s %s: %v", network, addr, err)
	}
	t.Cleanup(stop)
	return at
}

// Serve starts a server on every backend and returns their addresses in order.
func (n *Network) Serve(t testing.TB, network string, family, port int) []string {
	t.Helper()
	var at []string
	for _, b := range n.Backends {
		at = append(at, Serve(t, b.Host, network, netip.AddrPortFrom(b.Addr(family), uint16(port)).String()))
	}
	return at
}

// NeedSCTP skips a test on a kernel without SCTP sockets, which are a module
// that many kernels lack; balancing SCTP needs none on the balancer itself.
func NeedSCTP(t testing.TB) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		t.Skipf("this kernel has no SCTP sockets: %v", err)
	}
	unix.Close(fd)
}
