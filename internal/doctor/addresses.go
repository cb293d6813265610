package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// used returns the addresses that clients and backends send packets to, each with what
// it is used as: "listen of web".
func (e examination) used() groups[netip.Addr, string] {
	var all groups[netip.Addr, string]
	for _, service := range e.Services {
		for _, listen := range service.Listen {
			if !listen.Any() {
				all.add(listen.Addr, "listen of "+service.Name)
			}
		}
		if service.SNAT.Addr.IsValid() {
			all.add(service.SNAT.Addr, "snat of "+service.Name)
		}
	}
	return all
}

// addresses looks for used addresses that no interface of the host has. When such an
// address is in a subnet of the host, neighbours ask who has it, and nobody answers. When
// it is in another one, a router can still send its packets here: nat needs no interface
// with the address. Some networks, as those of clouds, bring packets here without asking.
// A tracked connection shows that they did so once, not that they still do.
func (e examination) addresses() []Finding {
	var found []Finding
	used := e.used()
	for _, addr := range used.keys {
		as := used.values[addr]
		to, err := e.network.routeTo(addr)
		if err != nil && !errors.Is(err, errNoRoute) {
			found = append(found, cannotTell("whether the host has "+addr.String(), err))
			continue
		}
		switch holder, held := e.network.holder(addr); {
		case held && e.network.isCut(holder):
			found = append(found, Finding{
				Broken, fmt.Sprintf("%v, %s, is on the interface %s, which is down", addr, few(as), holder.link.name),
				"ip link set " + holder.link.name + " up",
			})
		case !to.local:
			found = append(found, e.absent(addr, as)...)
		}
	}
	return found
}

// isCut tells whether nobody reaches an address of the host because its interface is
// down. For an address without a subnet the host answers on every other interface
// (arp_ignore in ip-sysctl.rst), and also where another interface is in the same subnet.
func (n network) isCut(a address) bool {
	return !a.link.up && a.subnet.Bits() < a.addr.BitLen() && !slices.ContainsFunc(n.addresses, func(other address) bool {
		return other.link.up && other.subnet == a.subnet
	})
}

// absent is the finding of an address that no interface has, unless the host answers for
// it all the same.
func (e examination) absent(addr netip.Addr, as []string) []Finding {
	what := fmt.Sprintf("%v, %s, is on no interface", addr, few(as))
	for _, near := range e.network.beside(addr) {
		switch {
		case answersFor(addr, near.link):
			return nil
		case near.link.up && !near.link.noARP:
			severity := Broken
			if e.cameHere(addr) {
				severity = Risk
			}
			return []Finding{{
				severity, fmt.Sprintf("%s, and nobody answers for it in %v on %s, unless another host has it now (VRRP), or the network needs no answer", what, near.subnet, near.link.name),
				fmt.Sprintf("ip address add %v/%d dev %s", addr, near.subnet.Bits(), near.link.name),
			}}
		}
	}
	return []Finding{{
		Risk, what + ": its packets come here only if somebody sends them",
		fmt.Sprintf("ip address add %v/%d dev lo", addr, addr.BitLen()),
	}}
}
