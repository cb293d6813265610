package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"natspread/internal/lab/netns"
	"natspread/internal/nethost"
)

// The namespaces beside the balancers' l1, l2, l3. The two bridges are in this one.
const (
	clientName   = "client"
	routerName   = "router"
	beyondName   = "beyond" // the second router, where there is one
	backendsName = "backends"
)

// cable is between a bridge and a host.
type cable struct{ host, link, bridge string }

// port is the name of its end at the bridge.
func (c cable) port() string { return c.host + "-" + c.link }

// layout is a network: cables, and what ip(8) is told on each host.
type layout struct {
	balancers int
	cables    []cable
	batches   map[string]string
	vip       string
	clients   []string  // the first address, and how many
	swapped   [2]string // the balancers' addresses on both sides, where routes are changed by hand
}

// balancerName is that of one, from 1.
func balancerName(i int) string { return fmt.Sprint("l", i) }

// balancerMAC is that of its link to the backends.
func balancerMAC(i int) string { return fmt.Sprintf("00:00:5e:00:53:%02x", i) }

// addresses are lines that add a link's addresses and take it up.
func addresses(link string, addresses ...string) string {
	var b strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&b, "addr add %s dev %s", address, link)
		if strings.Contains(address, ":") {
			b.WriteString(" nodad")
		}
		b.WriteString("\n")
	}
	return b.String() + "link set " + link + " up\n"
}

// counted are so many addresses of a network, from the first one.
func counted(network string, first, count int) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprintf(network, first+i))
	}
	return all
}

// pairLayout is two balancers beside the client, and before the backends.
func pairLayout() layout {
	l := layout{balancers: 2, vip: "192.0.2.10", clients: []string{"192.0.2.100", "60"}, batches: map[string]string{
		clientName:   addresses("e0", counted("192.0.2.%d/24", 100, 60)...),
		backendsName: addresses("e0", counted("10.0.0.%d/24", 1, 4)...) + "route add default via 10.0.0.254\n",
	}}
	l.cables = []cable{{clientName, "e0", "front"}, {backendsName, "e0", "back"}}
	for i := 1; i <= 2; i++ {
		l.addBalancer(i, fmt.Sprintf("10.0.0.25%d/24", i), "")
	}
	return l
}

// addBalancer lays a balancer's cables.
func (l *layout) addBalancer(i int, inner, routes string) {
	name := balancerName(i)
	l.cables = append(l.cables, cable{name, "e0", "front"}, cable{name, "e1", "back"})
	l.batches[name] = addresses("e0", fmt.Sprintf("192.0.2.1%d/24", i)) + "link set e1 address " + balancerMAC(i) + "\n" + addresses("e1", inner) + routes
}

// swappedLayout is the pair without an engine: both have the listen address for themselves, and
// a person changes the routes to it and to the clients.
func swappedLayout(family int) layout {
	l := layout{balancers: 2, vip: "203.0.113.10", clients: []string{"192.0.2.100", "60"}, swapped: [2]string{"192.0.2.1%d", "10.0.0.25%d"}}
	clients, backends, bits := counted("192.0.2.%d/24", 100, 60), counted("10.0.0.%d/24", 1, 4), "/24"
	if family == 6 {
		l.vip, l.clients, l.swapped = "2001:db8:1::10", []string{"2001:db8::1000", "60"}, [2]string{"2001:db8::1%d", "fd00::25%d"}
		clients, backends, bits = counted("2001:db8::%x/64", 0x1000, 60), counted("fd00::%x/64", 1, 4), "/64"
	}
	l.batches = map[string]string{clientName: addresses("e0", clients...), backendsName: addresses("e0", backends...)}
	l.cables = []cable{{clientName, "e0", "front"}, {backendsName, "e0", "back"}}
	for i := 1; i <= 2; i++ {
		name := balancerName(i)
		l.cables = append(l.cables, cable{name, "e0", "front"}, cable{name, "e1", "back"})
		l.batches[name] = addresses("lo", l.vip) + addresses("e0", fmt.Sprintf(l.swapped[0]+bits, i)) + addresses("e1", fmt.Sprintf(l.swapped[1]+bits, i))
	}
	return l
}

// swap leads the backends to a balancer, and the client so much later.
func (l layout) swap(balancer int, later time.Duration) error {
	err := netns.IP(backendsName, fmt.Sprintf("route replace default via "+l.swapped[1]+"\n", balancer))
	time.Sleep(later)
	return errors.Join(err, netns.IP(clientName, fmt.Sprintf("route replace %s via "+l.swapped[0]+"\n", l.vip, balancer)))
}

// ecmpLayout is balancers between a router and the backends, or between two routers.
func ecmpLayout(balancers int, two bool) layout {
	l := layout{balancers: balancers, vip: "203.0.113.10", clients: []string{"198.51.100.10", "120"}, batches: map[string]string{
		clientName:   addresses("e0", counted("198.51.100.%d/24", 10, 120)...) + "route add default via 198.51.100.1\n",
		routerName:   addresses("e0", "198.51.100.1/24") + addresses("e1", "192.0.2.1/24"),
		backendsName: addresses("e0", counted("10.0.0.%d/24", 1, 4)...),
	}}
	l.cables = []cable{{clientName, "e0", "outside"}, {routerName, "e0", "outside"}, {routerName, "e1", "front"}}
	routes := "addr add 203.0.113.10/32 dev lo\nroute add default via 192.0.2.1\n"
	inner := "10.0.0.24%d/24"
	if two {
		inner, routes = "10.0.1.20%d/24", routes+"route add 10.0.0.0/24 via 10.0.1.1\n"
		l.batches[beyondName] = addresses("e0", "10.0.1.1/24") + addresses("e1", "10.0.0.254/24")
		l.batches[backendsName] += "route add default via 10.0.0.254\n"
		l.cables = append(l.cables, cable{beyondName, "e0", "back"}, cable{beyondName, "e1", "inside"}, cable{backendsName, "e0", "inside"})
	} else {
		l.cables = append(l.cables, cable{backendsName, "e0", "back"})
	}
	for i := range balancers {
		l.addBalancer(i+1, fmt.Sprintf(inner, i+1), routes)
	}
	return l
}

// build lays the cables and gives all hosts their addresses.
func (l layout) build() error {
	var batch strings.Builder
	var hosts, bridges []string
	for i, c := range l.cables {
		if !slices.Contains(hosts, c.host) {
			hosts = append(hosts, c.host)
			fmt.Fprintf(&batch, "netns add %s\n", c.host)
		}
		if !slices.Contains(bridges, c.bridge) {
			bridges = append(bridges, c.bridge)
			fmt.Fprintf(&batch, "link add %s type bridge\nlink set %s up\n", c.bridge, c.bridge)
		}
		fmt.Fprintf(&batch, "link add index %d name %s type veth peer name %s netns %s\nlink set %s master %s\nlink set %s up\n",
			nethost.FirstIndex+i, c.port(), c.link, c.host, c.port(), c.bridge, c.port())
	}
	if err := netns.IP("", batch.String()); err != nil {
		return err
	}
	for _, host := range hosts {
		if err := errors.Join(setAll(host, quiet), netns.IP(host, "link set lo up\n"+l.batches[host])); err != nil {
			return err
		}
	}
	return nil
}

// quiet is set on all hosts: no ICMP redirects, and no reverse path filter.
const quiet = `net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
`

// setAll sets the lines of a sysctl.d file in a namespace.
func setAll(host, lines string) error {
	return netns.Within(host, func() error {
		for line := range strings.Lines(lines) {
			name, value, found := strings.Cut(line, "=")
			if !found || strings.HasPrefix(line, "#") {
				continue
			}
			file := filepath.Join("/proc/sys", strings.ReplaceAll(strings.TrimSpace(name), ".", "/"))
			if err := os.WriteFile(file, []byte(strings.TrimSpace(value)), 0); err != nil {
				return err
			}
		}
		return nil
	})
}

// command runs a program in a namespace, and returns its standard output.
func command(host, stdin, name string, args ...string) (out string, err error) {
	err = netns.Within(host, func() (err error) {
		out, err = netns.Pipe(stdin, name, args...)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", host, strings.Join(args, " "), err)
	}
	return out, nil
}

// has tells whether a host has an address now.
func has(host, address string) bool {
	found := false
	err := netns.Within(host, func() error {
		all, err := net.InterfaceAddrs()
		found = slices.ContainsFunc(all, func(a net.Addr) bool { return strings.HasPrefix(a.String(), address+"/") })
		return err
	})
	return err == nil && found
}

// plug takes a balancer's cables up, or down at the bridges.
func plug(balancer int, direction string) error {
	name := balancerName(balancer)
	return netns.IP("", fmt.Sprintf("link set %s-e0 %s\nlink set %s-e1 %s\n", name, direction, name, direction))
}
