package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"natspread/internal/lab/netns"
	"natspread/internal/nethost"
	"natspread/internal/traffic"
)

const (
	// client is the name and the address of the one who asks.
	client, clientAddress = "client", "192.0.2.99"

	// inner is the balancer's address beside the backends.
	inner = "10.0.0.254"
)

// network is the hosts around the balancer, which is this namespace.
type network struct {
	client   *nethost.Host
	backends []*nethost.Host
	asker    traffic.Asker // of the client
}

// build lays a cable from the balancer to the client and to each backend. A backend knows the
// way to the balancer alone, so that an answer only comes back when the balancer rewrites the
// source.
func build(listen netip.Addr, backends []netip.Addr) (network, error) {
	if err := nethost.Settle(); err != nil {
		return network{}, err
	}
	balancer, made := nethost.Self(), network{asker: traffic.NewAsker()}
	var err error
	if made.client, err = join(balancer, "front", netip.PrefixFrom(listen, 24), netip.MustParsePrefix(clientAddress+"/24")); err != nil {
		return made, err
	}
	near := netip.MustParseAddr(inner)
	for i, backend := range backends {
		cable := fmt.Sprint("back", i+1)
		host, err := join(balancer, cable, alone(near), netip.PrefixFrom(backend, 24))
		if err == nil {
			err = errors.Join(balancer.AddRoutes(cable, backend, alone(backend)), host.AddRoutes("eth0", near, alone(listen)))
		}
		if err != nil {
			return made, err
		}
		made.backends = append(made.backends, host)
	}
	return made, nil
}

// join makes a host at the other end of a cable of the balancer's, and gives both ends addresses.
func join(balancer *nethost.Host, cable string, near, far netip.Prefix) (*nethost.Host, error) {
	host, err := nethost.New()
	if err == nil {
		err = balancer.Connect(cable, host, "eth0")
	}
	if err == nil {
		err = errors.Join(balancer.AddAddresses(cable, near), host.AddAddresses("eth0", far))
	}
	return host, err
}

// alone is the subnet of one address.
func alone(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

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
