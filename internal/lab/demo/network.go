package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"natspread/internal/lab/netns"
	"natspread/internal/nethost"
	"natspread/internal/traffic"
)

const (
	// clientAddress is the first address of the one who asks; in the pictures it has others.
	clientAddress = "192.0.2.99"

	// inner is the balancer's address beside the backends, and their way to clients.
	inner = "10.0.0.254"

	// named is where ip(8) looks for the namespaces that have names.
	named = "/run/netns"
)

// The balancers' interfaces, and the second balancer and the switch by which backends are joined,
// as commands name them.
const (
	front, back = "front", "back"
	second      = "two"
	joined      = "switch"
)

// network is the hosts around the first balancer, which is this namespace.
type network struct {
	client, second *nethost.Host
	backends       []*nethost.Host
	clients        []netip.Addr  // the client's other addresses
	asker          traffic.Asker // of the client
}

// build joins the client with both balancers by one switch, and these with the backends by another.
func build(listen netip.Addr, backends []netip.Addr) (network, error) {
	made := network{asker: traffic.NewAsker()}
	err := errors.Join(nethost.Settle(), os.Mkdir(named, 0o755))
	var outer, within *nethost.Host
	for name, host := range map[string]**nethost.Host{"outer": &outer, joined: &within, second: &made.second, "client": &made.client} {
		if err == nil {
			*host, err = nethost.Pin(named + "/" + name)
		}
	}
	if err != nil {
		return made, err
	}
	for i := range byte(6) {
		made.clients = append(made.clients, netip.AddrFrom4([4]byte{192, 0, 2, 20 * (i + 1)}))
	}
	err = errors.Join(
		outer.Connect("client", made.client, "eth0"), outer.Connect("one", nethost.Self(), front), outer.Connect(second, made.second, front),
		within.Connect("one", nethost.Self(), back), within.Connect(second, made.second, back),
		made.client.AddAddresses("eth0", subnet(netip.MustParseAddr(clientAddress))), addresses(nethost.Self(), listen))
	ports := []string{"one", second}
	for i, address := range backends {
		host, errNew := nethost.New()
		if err = errors.Join(err, errNew); err != nil {
			return made, err
		}
		err = errors.Join(within.Connect(backendName(i), host, "eth0"), host.AddAddresses("eth0", subnet(address)),
			host.AddRoutes("eth0", netip.MustParseAddr(inner), netip.PrefixFrom(netip.IPv4Unspecified(), 0)))
		made.backends, ports = append(made.backends, host), append(ports, backendName(i))
	}
	for _, address := range made.clients {
		err = errors.Join(err, made.client.AddAddresses("eth0", subnet(address)))
	}
	return made, errors.Join(err, outer.Bridge("client", "one", second), within.Bridge(ports...), made.standBy(listen))
}

// standBy gives the second balancer the addresses of the first one, also those of its network
// cards, and takes it off the cables. Such an address may move to another port at once where the
// switches learn nothing.
func (n network) standBy(listen netip.Addr) error {
	var err error
	for name, card := range map[string]string{front: "02:00:00:00:00:01", back: "02:00:00:00:00:02"} {
		line := "link set " + name + " address " + card + "\n"
		err = errors.Join(err, netns.IP("", line), netns.IP(second, line+"link set "+name+" down\n"))
	}
	for _, host := range []string{"outer", joined} {
		err = errors.Join(err, netns.IP(host, "link set bridge type bridge ageing_time 0\n"))
	}
	for _, balancer := range []*nethost.Host{nethost.Self(), n.second} {
		err = errors.Join(err, balancer.Do(func() error { return nethost.SetSysctl("net/netfilter/nf_conntrack_tcp_be_liberal", "1") }))
	}
	return errors.Join(err, addresses(n.second, listen))
}

// addresses gives a balancer what clients and backends know it by.
func addresses(balancer *nethost.Host, listen netip.Addr) error {
	return errors.Join(balancer.AddAddresses(front, subnet(listen)), balancer.AddAddresses(back, subnet(netip.MustParseAddr(inner))))
}

// subnet is an address with its subnet.
func subnet(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, 24) }

// backendName is the name of a backend's port of the switch, from backend1.
func backendName(i int) string { return fmt.Sprint("backend", i+1) }
