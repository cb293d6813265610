package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"natspread/internal/network"
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
		to, err := e.network.RouteTo(addr)
		if err != nil && !errors.Is(err, network.ErrNoRoute) {
			found = append(found, cannotTell("whether the host has "+addr.String(), err))
			continue
		}
		switch holder, held := e.network.Holder(addr); {
		case held && e.network.IsCut(holder):
			found = append(found, Finding{
				Broken, fmt.Sprintf("%v, %s, is on the interface %s, which is down", addr, few(as), holder.Link.Name),
				"ip link set " + holder.Link.Name + " up",
			})
		case !to.Local:
			found = append(found, e.absent(addr, as)...)
		}
	}
	return found
}

// absent is the finding of an address that no interface has, unless the host answers for
// it all the same.
func (e examination) absent(addr netip.Addr, as []string) []Finding {
	what := fmt.Sprintf("%v, %s, is on no interface", addr, few(as))
	for _, near := range e.network.Beside(addr) {
		switch {
		case network.AnswersFor(addr, near.Link):
			return nil
		case near.Link.Up && !near.Link.NoARP:
			severity := Broken
			if e.cameHere(addr) {
				severity = Risk
			}
			return []Finding{{
				severity, fmt.Sprintf("%s, and nobody answers for it in %v on %s, unless another host has it now (VRRP), or the network needs no answer", what, near.Subnet, near.Link.Name),
				fmt.Sprintf("ip address add %v/%d dev %s", addr, near.Subnet.Bits(), near.Link.Name),
			}}
		}
	}
	return []Finding{{
		Risk, what + ": its packets come here only if somebody sends them",
		fmt.Sprintf("ip address add %v/%d dev lo", addr, addr.BitLen()),
	}}
}
