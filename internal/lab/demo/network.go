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
	// client is the name and the address of the one who asks.
	client, clientAddress = "client", "192.0.2.99"

	// inner is the balancer's address beside the backends.
	inner = "10.0.0.254"
)

// build lays a cable from the balancer, which is this namespace, to the client
// and to each backend. A backend knows the way to the balancer alone, so that an
// answer only comes back when the balancer rewrites the source.
func build(listen netip.Addr, backends []netip.Addr) error {
	var hosts, near strings.Builder
	far := map[string]string{client: fmt.Sprintf("addr add %s/24 dev eth0\nlink set eth0 up\n", clientAddress)}
	fmt.Fprintf(&hosts, "netns add %s\n", client)
	fmt.Fprintf(&near, "link add index %d name front type veth peer name eth0 netns %s\n", netns.FirstIndex, client)
	fmt.Fprintf(&near, "addr add %v/24 dev front\nlink set front up\nlink set lo up\n", listen)
	for i, backend := range backends {
		name, cable := backendName(i), fmt.Sprint("back", i+1)
		fmt.Fprintf(&hosts, "netns add %s\n", name)
		fmt.Fprintf(&near, "link add index %d name %s type veth peer name eth0 netns %s\n", netns.FirstIndex+1+i, cable, name)
		fmt.Fprintf(&near, "addr add %s/32 dev %s\nlink set %s up\nroute add %v/32 dev %s\n", inner, cable, cable, backend, cable)
		far[name] = fmt.Sprintf("addr add %v/24 dev eth0\nlink set eth0 up\nroute add %v/32 via %s\n", backend, listen, inner)
	}
	for _, batch := range []string{hosts.String(), near.String()} {
		if err := netns.IP("", batch); err != nil {
			return err
		}
	}
	for name, batch := range far {
		if err := netns.IP(name, batch); err != nil {
			return err
		}
	}
	// A new namespace copies this from the machine's own.
	return forward("0")
}

// backendName is the name of a backend's host, from backend1.
func backendName(i int) string { return fmt.Sprint("backend", i+1) }

// ipForward is the switch that a balancer needs.
const ipForward = "/proc/sys/net/ipv4/ip_forward"

// forward sets it.
func forward(value string) error { return os.WriteFile(ipForward, []byte(value), 0) }

// reboot leaves of the balancer what a reboot leaves: no rule, no forwarding,
// nothing in /run, and the files on disk.
func reboot(root string) error {
	for _, restore := range []string{"iptables-restore", "ip6tables-restore"} {
		if _, err := netns.Pipe("*nat\nCOMMIT\n", restore); err != nil {
			return err
		}
	}
	saved, err := netns.Pipe("", "iptables-save", "-t", "nat")
	if err == nil && strings.Contains(saved, "\n-A ") {
		err = errors.New("cannot play a reboot: the nat table still has rules")
	}
	return errors.Join(err, forward("0"), os.RemoveAll(root+"/run"))
}
