package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"natspread/internal/lab/netns"
)

const (
	// client and backends are the hosts that all balancers share.
	client, backends = "client", "backends"

	// clientAddress is where the first packets come from, and vip the balancer's
	// own address in front, the article's.
	clientAddress, vip = "192.0.2.99", "192.0.2.10"

	// gateway is the way to whatever is rewritten to a backend.
	gateway = "10.255.255.254"

	// frontMAC is every balancer's in front. Nobody has nowhereMAC: a frame for it
	// is thrown away by the first line of the receiver's IP layer, so what happens
	// beyond the balancer costs next to nothing and is the same for all layouts.
	frontMAC, clientMAC, nowhereMAC = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"

	// firstIndex begins the numbers of the cables' near ends. The kernel numbers
	// the far ones from 2, and between equal numbers it takes the two for one
	// interface and reports the carrier up to 1 s late.
	firstIndex = 1001
)

// balancer is a host with one layout of rules, a cable to the client and one to
// the backends. What is not rewritten to a backend's address finds no way to the
// backends: the addresses of services are the balancer's own or lead nowhere.
type balancer struct {
	namespace string
	number    int
}

// front and back are the far ends of the balancer's cables: the client's, and the
// backends'.
func (b balancer) front() string { return fmt.Sprint("c", b.number) }
func (b balancer) back() string  { return fmt.Sprint("b", b.number) }

// newHost makes a namespace and prepares it.
func newHost(name string, prepare func() error) error {
	if _, err := netns.Pipe("", "ip", "netns", "add", name); err != nil {
		return err
	}
	return netns.Within(name, prepare)
}

// ip runs lines of ip(8) in a namespace.
func ip(namespace, lines string) error {
	_, err := netns.Pipe(lines, "ip", "-n", namespace, "-batch", "-")
	return err
}

// newNetwork makes the hosts of the client and the backends.
func newNetwork() error {
	return errors.Join(newHost(client, quiet), newHost(backends, quiet))
}

// newBalancer makes a balancer without rules that forwards.
func newBalancer(number int) (balancer, error) {
	b := balancer{namespace: fmt.Sprint("balancer", number), number: number}
	if err := newHost(b.namespace, prepareHost); err != nil {
		return b, err
	}
	var near strings.Builder
	index := firstIndex + 2*number
	fmt.Fprintf(&near, "link add front address %s type veth peer name %s index %d netns %s\n", frontMAC, b.front(), index, client)
	fmt.Fprintf(&near, "link add back type veth peer name %s index %d netns %s\n", b.back(), index+1, backends)
	fmt.Fprintf(&near, "addr add %s/24 dev front\naddr add 10.255.255.1/24 dev back\n", vip)
	near.WriteString("link set lo up\nlink set front up\nlink set back up\n")
	fmt.Fprintf(&near, "neigh add %s lladdr %s dev back nud permanent\n", gateway, nowhereMAC)
	fmt.Fprintf(&near, "route add 10.0.0.0/8 via %s\nroute add blackhole 198.18.0.0/15\n", gateway)
	fmt.Fprintf(&near, "neigh add %s lladdr %s dev front nud permanent\n", clientAddress, clientMAC)
	return b, errors.Join(
		ip(b.namespace, near.String()),
		ip(client, "link set "+b.front()+" up\n"),
		ip(backends, "link set "+b.back()+" up\n"),
	)
}

// quiet takes away from a new namespace what would send packets of its own, or
// what the kernel copied from the machine's own namespace.
func quiet() error {
	var errs []error
	for name, value := range map[string]string{
		"ipv6/conf/all/disable_ipv6":     "1",
		"ipv6/conf/default/disable_ipv6": "1",
		"ipv4/conf/all/rp_filter":        "0",
		"ipv4/conf/default/rp_filter":    "0",
	} {
		err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
		if !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// throughTo makes a destination lead to the backends though it is no backend's
// address.
func (b balancer) throughTo(to netip.Addr) error {
	return ip(b.namespace, fmt.Sprintf("route replace %v/32 via %s\n", to, gateway))
}

// nowhere makes a destination lead nowhere unless it is rewritten.
func (b balancer) nowhere(to netip.Addr) error {
	return ip(b.namespace, fmt.Sprintf("route replace blackhole %v/32\n", to))
}

// close makes the balancer throw away whatever comes in front, as a frame for
// somebody else.
func (b balancer) close() error {
	return ip(b.namespace, "link set front address "+nowhereMAC+"\n")
}

// loadRules loads rules into a namespace that has none, by a plain run of the
// variant's program.
func loadRules(namespace, variant string, rules []byte) error {
	args := []string{"iptables-" + variant + "-restore", "-w", "5"}
	if variant == "native" {
		args = []string{"nft", "-f", "-"}
	}
	return netns.Within(namespace, func() error {
		_, err := netns.Pipe(string(rules), args[0], args[1:]...)
		return err
	})
}
