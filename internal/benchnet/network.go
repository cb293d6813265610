package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
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

// newNetwork makes the hosts of the client and the backends.
func newNetwork() error {
	if err := pipe([]byte("netns add client\nnetns add backends\n"), "ip", "-batch", "-"); err != nil {
		return err
	}
	return errors.Join(within(client, quiet), within(backends, quiet))
}

// newBalancer makes a balancer without rules that forwards.
func newBalancer(number int) (balancer, error) {
	b := balancer{namespace: fmt.Sprint("balancer", number), number: number}
	if err := pipe(nil, "ip", "netns", "add", b.namespace); err != nil {
		return b, err
	}
	err := within(b.namespace, func() error {
		return errors.Join(quiet(), os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	})
	if err != nil {
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
	err = errors.Join(
		pipe([]byte(near.String()), "ip", "-n", b.namespace, "-batch", "-"),
		pipe(nil, "ip", "-n", client, "link", "set", b.front(), "up"),
		pipe(nil, "ip", "-n", backends, "link", "set", b.back(), "up"),
	)
	return b, err
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
	return pipe(nil, "ip", "-n", b.namespace, "route", "replace", to.String()+"/32", "via", gateway)
}

// nowhere makes a destination lead nowhere unless it is rewritten.
func (b balancer) nowhere(to netip.Addr) error {
	return pipe(nil, "ip", "-n", b.namespace, "route", "replace", "blackhole", to.String()+"/32")
}

// loadRules loads rules into a namespace that has none, by a plain run of the
// variant's program.
func loadRules(namespace, variant string, rules []byte) error {
	return within(namespace, func() error {
		if variant == "native" {
			return pipe(rules, "nft", "-f", "-")
		}
		return pipe(rules, "iptables-"+variant+"-restore", "-w", "5")
	})
}
