package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// used is an address that packets are sent to because of a config, with who does so.
type used struct {
	addr netip.Addr
	as   []string // "listen of web"
}

// used returns the addresses that clients and backends send to, each once.
func (e examination) used() []used {
	var all []used
	place := map[netip.Addr]int{}
	add := func(addr netip.Addr, as string) {
		if !addr.IsValid() {
			return
		}
		i, found := place[addr]
		if !found {
			i = len(all)
			place[addr] = i
			all = append(all, used{addr: addr})
		}
		if !slices.Contains(all[i].as, as) {
			all[i].as = append(all[i].as, as)
		}
	}
	for _, service := range e.Services {
		for _, listen := range service.Listen {
			add(listen.Addr, "listen of "+service.Name)
		}
		add(service.Source.Addr, "snat of "+service.Name)
	}
	return all
}

// addresses looks for those that no interface of the host has. Where the host's own
// subnet holds one, neighbours ask for it and nobody answers. Elsewhere a router may
// well send its packets here, and nat needs no interface to have it; and there are
// networks, as those of clouds, that bring packets here without asking. Connections
// show that they did, but not that they still do.
func (e examination) addresses() []Finding {
	var found []Finding
	for _, u := range e.used() {
		way, err := e.network.routeTo(u.addr)
		if err != nil && !errors.Is(err, errNoRoute) {
			found = append(found, cannotTell("whether the host has "+u.addr.String(), err))
			continue
		}
		switch holder, held := e.network.holder(u.addr); {
		case held && e.network.isCut(holder):
			found = append(found, Finding{
				Broken, fmt.Sprintf("%v, %s, is on the interface %s, which is down", u.addr, few(u.as), holder.link.name),
				"ip link set " + holder.link.name + " up",
			})
		case !way.local:
			found = append(found, e.absent(u)...)
		}
	}
	return found
}

// isCut tells whether nobody reaches an address because its interface is down. One
// without a subnet is answered for on every other interface (arp_ignore in
// ip-sysctl.rst), and so is one whose subnet is on another, too.
func (n network) isCut(a address) bool {
	return !a.link.up && a.subnet.Bits() < a.addr.BitLen() && !slices.ContainsFunc(n.addresses, func(other address) bool {
		return other.link.up && other.subnet == a.subnet
	})
}

// absent is the finding of an address that the host has not, unless it answers for it.
func (e examination) absent(u used) []Finding {
	what := fmt.Sprintf("%v, %s, is on no interface", u.addr, few(u.as))
	for _, near := range e.network.beside(u.addr) {
		switch {
		case answersFor(u.addr, near.link):
			return nil
		case near.link.up && !near.link.noARP:
			severity := Broken
			if e.cameHere(u.addr) {
				severity = Risk
			}
			return []Finding{{
				severity, fmt.Sprintf("%s, and nobody answers for it in %v on %s, unless another host has it now (VRRP), or the network needs no answer", what, near.subnet, near.link.name),
				fmt.Sprintf("ip address add %v/%d dev %s", u.addr, near.subnet.Bits(), near.link.name),
			}}
		}
	}
	return []Finding{{
		Risk, what + ": its packets come here only if somebody sends them",
		fmt.Sprintf("ip address add %v/%d dev lo", u.addr, u.addr.BitLen()),
	}}
}
