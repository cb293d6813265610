package netnstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"natspread/internal/test/await"
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

	// linkWait bounds the wait for a link, which takes well under 10 ms.
	linkWait = 5 * time.Second
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
	n.Balancer.Command(t, l.links()+balancerBatch(), "ip", "-batch", "-")
	t.Cleanup(func() { // links go some time after their namespace: the next ones' names would clash
		_, err := n.Balancer.run(context.Background(), "link del "+Front+"\nlink del "+Back+"\n", "ip", "-batch", "-")
		if err != nil {
			t.Error(err)
		}
	})
	if err := n.configure(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	n.waitForLinks(t)
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

// configure gives every host but the balancer its addresses and routes: one
// run of ip for each, all at once.
func (n *Network) configure(ctx context.Context, l Layout) error {
	batches := map[*Host]string{n.Client: clientBatch(l)}
	for _, b := range n.Backends {
		batches[b.Host] += addrLine(b.Addr(4), "eth0") + addrLine(b.Addr(6), "eth0")
	}
	for _, h := range n.beyond {
		batches[h] += "link set eth0 up\n"
		if l.Gateway {
			batches[h] += fmt.Sprintf("route add default via %v\nroute add default via %v\n", Gateway(4), Gateway(6))
		}
	}
	if n.bridge != nil {
		batches[n.bridge] = bridgeBatch(l)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failures []error
	for h, batch := range batches {
		wait.Go(func() {
			_, err := h.run(ctx, batch, "ip", "-batch", "-")
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		})
	}
	wait.Wait()
	return errors.Join(failures...)
}

// waitForLinks returns when every interface has its carrier and the link-local
// address without which the balancer can't look for an IPv6 neighbour.
func (n *Network) waitForLinks(t testing.TB) {
	t.Helper()
	waitForLink(t, n.Balancer, Front)
	waitForLink(t, n.Balancer, Back)
	waitForLink(t, n.Client, "eth0")
	for _, h := range n.beyond {
		waitForLink(t, h, "eth0")
	}
	if n.bridge != nil {
		for i := range len(n.beyond) + 1 { // port0 leads to the balancer
			waitForLink(t, n.bridge, fmt.Sprint("port", i))
		}
	}
}

// waitForLink returns when a host's interface is ready.
func waitForLink(t testing.TB, h *Host, name string) {
	t.Helper()
	h.Do(t, func() {
		if !await.Within(linkWait, func() bool { return linkReady(name) }) {
			t.Fatalf("cannot use link %s in %s: not up after %v", name, h.path, linkWait)
		}
	})
}

// linkReady looks at an interface of the calling thread's namespace.
func linkReady(name string) bool {
	link, err := net.InterfaceByName(name)
	if err != nil || link.Flags&net.FlagUp == 0 || link.Flags&net.FlagRunning == 0 {
		return false
	}
	addrs, err := link.Addrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		prefix, ok := a.(*net.IPNet)
		return ok && prefix.IP.To4() == nil && prefix.IP.IsLinkLocalUnicast()
	})
}
