package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/network"
)

// use is what an address is used as.
type use struct {
	service string
	snat    bool // and not listen
	moves   bool // with takeover: another balancer may have it
}

// String returns it in words: "listen of web".
func (u use) String() string {
	if u.snat {
		return "snat of " + u.service
	}
	return "listen of " + u.service
}

// used returns the addresses that clients and backends send packets to.
func (e examination) used() groups[netip.Addr, use] {
	var all groups[netip.Addr, use]
	for _, service := range e.Services {
		for _, listen := range service.Listen {
			if !listen.Any() {
				all.add(listen.Addr, use{service.Name, false, service.Takeover})
			}
		}
		if service.SNAT.Addr.IsValid() {
			all.add(service.SNAT.Addr, use{service.Name, true, false})
		}
	}
	return all
}

// addresses looks for used addresses that no interface of the host has, and for those on an
// interface that is down.
func (e examination) addresses() []Finding {
	var found []Finding
	used := e.used()
	for _, addr := range used.keys {
		as := used.values[addr]
		holder, held := e.network.Holder(addr)
		switch {
		case held && e.network.IsCut(holder):
			found = append(found, Finding{
				Broken, fmt.Sprintf("%v, %s, is on the interface %s, which is down", addr, few(as), holder.Link.Name),
				"ip link set " + holder.Link.Name + " up",
			})
		case !held:
			found = append(found, e.notHeld(addr, as)...)
		}
	}
	return found
}

// notHeld is the finding of an address that no interface has, unless the host takes its
// packets all the same, by a route or because it answers neighbours for it.
//
// Answers to an address of snat are lost, so that is Broken. For an address of listen it is
// a Risk: nat needs no interface with it. When it is in a subnet of the host, neighbours
// ask who has it, and nobody answers, but another host may have it now (VRRP), and some
// networks, as those of clouds, bring packets here without asking. When it is in another
// subnet, a router can still send its packets here. With takeover that it is not here is how
// it is to be at all balancers but one, so there is nothing to fix.
func (e examination) notHeld(addr netip.Addr, as []use) []Finding {
	to, err := e.network.RouteTo(addr)
	switch {
	case err != nil && !errors.Is(err, network.ErrNoRoute):
		return []Finding{cannotTell("whether the host has "+addr.String(), err)}
	case to.Local:
		return nil
	}
	what := fmt.Sprintf("%v, %s, is on no interface", addr, few(as))
	if !slices.ContainsFunc(as, func(u use) bool { return !u.moves }) {
		return []Finding{{Severity: Risk, What: what + ": another balancer has it, or nobody"}}
	}
	found := Finding{Risk, what + ": its packets come here only if somebody sends them", fmt.Sprintf("ip address add %v/%d dev lo", addr, addr.BitLen())}
	for _, near := range e.network.Beside(addr) {
		if network.AnswersFor(addr, near.Link) {
			return nil
		}
		if near.Link.Up && !near.Link.NoARP {
			found.What = fmt.Sprintf("%s, and nobody answers for it in %v on %s, unless another host has it now (VRRP), or the network needs no answer", what, near.Subnet, near.Link.Name)
			found.Fix = fmt.Sprintf("ip address add %v/%d dev %s", addr, near.Subnet.Bits(), near.Link.Name)
			break
		}
	}
	if moved := slices.IndexFunc(as, func(u use) bool { return u.snat }); moved >= 0 {
		found.Severity, found.What = Broken, what+": answers of the backends are sent there and lost"
		found.Fix = e.withoutAddress(addr, as[moved].service)
	}
	return []Finding{found}
}

// withoutAddress is the line after which a service needs no address that the host lost: one
// that moves, as by DHCP, is best not written. Its other listen addresses stay.
func (e examination) withoutAddress(addr netip.Addr, name string) string {
	line := fmt.Sprintf("snat = %q", config.SNAT{})
	for _, service := range e.Services {
		listens := slices.Clone(service.Listen)
		moved := false
		for i, listen := range listens {
			if listen.Addr == addr {
				listens[i].Addr, moved = netip.Addr{}, true
			}
		}
		switch {
		case service.Name != name || !moved:
		case len(listens) == 1:
			line = fmt.Sprintf("listen = %q and %s", listens[0], line)
		default:
			line = fmt.Sprintf("listen = %s and %s", listOf(listens), line)
		}
	}
	return line + inService(name)
}

// listOf writes values as a list of the config.
func listOf[T fmt.Stringer](values []T) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", value)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
