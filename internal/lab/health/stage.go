package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"natspread/internal/lab/netns"
	"natspread/internal/nethost"
)

// The names of the other namespaces: the balancer is in this one.
const (
	clientName   = "client"
	backendsName = "backends"
)

// port is what backends serve.
const port = 80

// addresses are those of one family.
type addresses struct {
	virtual, client, inner, beyond netip.Addr // of the balancer, the client, the balancer again, and the host of the backends
	network                        string     // of all many backends, which lead to beyond
	bits                           int        // of the two small networks
}

// addressesOf returns them.
func addressesOf(family int) addresses {
	parse := netip.MustParseAddr
	if family == 6 {
		return addresses{parse("2001:db8::10"), parse("2001:db8::99"), parse("fd00::254"), parse("fd00::250"), "fd16::/15", 64}
	}
	return addresses{parse("192.0.2.10"), parse("192.0.2.99"), parse("10.0.0.254"), parse("10.0.0.250"), "10.16.0.0/15", 24}
}

// few returns the address of one of at most 200 backends, from 0, each of which the balancer
// looks for by itself.
func few(family, i int) netip.Addr {
	if family == 6 {
		return netip.MustParseAddr(fmt.Sprintf("fd00::%d", i+1))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i+1))
}

// many returns the address of one of at most 100,000 backends behind one host. One of two is
// in doomed.
func many(family, i int) netip.Addr {
	if family == 6 {
		return netip.MustParseAddr(fmt.Sprintf("fd%d::%x:%x", 16+i%2, i/2/250, i/2%250+1))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", 16+i%2, i/2/250, i/2%250+1))
}

// doomed holds half of many.
func doomed(family int) netip.Prefix {
	if family == 6 {
		return netip.MustParsePrefix("fd17::/16")
	}
	return netip.MustParsePrefix("10.17.0.0/16")
}

// alone is the prefix of one address.
func alone(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

// stage is a balancer between a client and backends, and what runs there.
type stage struct {
	variant string
	family  int
	program string // natspread
	keeping string // one that deletes no unanswered entries
	verbs   int    // how many the race runs
	addresses
	site     site
	backends *netns.Part
	watcher  *watcher
}

// newStage builds the network of a stage that has the rest, and starts all backends.
func newStage(of stage) (*stage, error) {
	s := &of
	s.addresses = addressesOf(s.family)
	err := s.build()
	if err == nil {
		s.backends, err = netns.StartPart(backendsName, "backends", fmt.Sprint(":", port))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// build lays a cable to the client and one to the backends.
func (s *stage) build() error {
	if err := netns.IP("", fmt.Sprintf("netns add %s\nnetns add %s\n", clientName, backendsName)); err != nil {
		return err
	}
	for _, host := range []string{clientName, backendsName} {
		if err := netns.Within(host, settle); err != nil {
			return err
		}
	}
	near := fmt.Sprintf("link add index %d name front type veth peer name eth0 netns %s\n", nethost.FirstIndex, clientName) +
		fmt.Sprintf("link add index %d name back type veth peer name eth0 netns %s\n", nethost.FirstIndex+1, backendsName) +
		s.address(s.virtual, "front") + s.address(s.inner, "back") +
		"link set lo up\nlink set front up\nlink set back up\n" + fmt.Sprintf("route add %s via %v\n", s.network, s.beyond)
	beyond := s.address(s.beyond, "eth0") + "link set lo up\nlink set eth0 up\n" + fmt.Sprintf("route add local %s dev lo\n", s.network)
	client := s.address(s.client, "eth0") + "link set lo up\nlink set eth0 up\n"
	err := settle()
	for _, host := range []struct{ name, batch string }{{"", near}, {clientName, client}, {backendsName, beyond}} {
		if err == nil {
			err = netns.IP(host.name, host.batch)
		}
	}
	return errors.Join(err, awaitLink("front"), awaitLink("back"))
}

// address adds an address to a link.
func (s *stage) address(address netip.Addr, link string) string {
	line := fmt.Sprintf("addr add %v/%d dev %s", address, s.bits, link)
	if s.family == 6 {
		line += " nodad"
	}
	return line + "\n"
}

// settle makes IPv6 addresses of a new namespace usable at once, not after 1 s.
func settle() error {
	return errors.Join(
		os.WriteFile("/proc/sys/net/ipv6/conf/all/accept_dad", []byte("0"), 0),
		os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0),
	)
}

// awaitLink waits until a link carries packets.
func awaitLink(name string) error {
	return netns.Await(5*time.Second, "the link "+name+" is up", func() bool {
		link, err := net.InterfaceByName(name)
		return err == nil && link.Flags&net.FlagRunning != 0
	})
}

// tool is the variant's iptables of the family.
func (s *stage) tool() string {
	if s.family == 6 {
		return "ip6tables-" + s.variant
	}
	return "iptables-" + s.variant
}

// iptables runs a command line of iptables in a namespace, or in this one.
func (s *stage) iptables(host, line string) error {
	run := func() error {
		if _, err := netns.Pipe("", s.tool(), append([]string{"-w", "5"}, strings.Fields(line)...)...); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		return nil
	}
	if host == "" {
		return run()
	}
	return netns.Within(host, run)
}

// death is a way in which backends die, and live again.
type death struct {
	name string
	set  func(s *stage, backends netip.Prefix, dead bool) error
}

// refused resets what asks, as a host does on which nobody listens.
func refused() death {
	return death{"refused", func(s *stage, backends netip.Prefix, dead bool) error {
		return s.firewall(backends, dead, "REJECT --reject-with tcp-reset")
	}}
}

// refuse lets one of the few backends refuse connections, or live again.
func (s *stage) refuse(i int, dead bool) error {
	return refused().set(s, alone(few(s.family, i)), dead)
}

// silent drops what asks.
func silent() death {
	return death{"silent", func(s *stage, backends netip.Prefix, dead bool) error { return s.firewall(backends, dead, "DROP") }}
}

// firewall adds a rule to the hosts of the backends, or deletes it.
func (s *stage) firewall(backends netip.Prefix, dead bool, target string) error {
	action := "-D"
	if dead {
		action = "-A"
	}
	return s.iptables(backendsName, fmt.Sprintf("%s INPUT -d %v -p tcp --dport %d -j %s", action, backends, port, target))
}

// status500 lets a backend answer that it is broken.
func status500() death {
	return death{"status 500", func(s *stage, backends netip.Prefix, dead bool) error {
		status := "200"
		if dead {
			status = "500"
		}
		return s.backends.Tell(status + " " + backends.Addr().String())
	}}
}

// gone takes a backend's address away, so that nobody answers who looks for it.
func gone() death {
	return death{"gone", func(s *stage, backends netip.Prefix, dead bool) error {
		if dead {
			return netns.IP(backendsName, fmt.Sprintf("addr del %v/%d dev eth0\n", backends.Addr(), s.bits))
		}
		return netns.IP(backendsName, s.address(backends.Addr(), "eth0"))
	}}
}
