package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/hostfiles"
	"natspread/internal/network"
	"natspread/internal/text"
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
		for _, addr := range service.SNAT.Addresses() {
			all.add(addr, use{service.Name, true, false})
		}
	}
	return all
}

// addresses looks for used addresses that no interface of the host has, and for those on an
// interface that is down.
func (e examination) addresses() []Finding {
	var found []Finding
	used, floating := e.used(), sync.OnceValue(e.files().Floating)
	if e.Asks {
		e.network.AskNeighbours(e.placesToAsk(used))
	}
	for _, addr := range used.keys {
		as := used.values[addr]
		holder, held := e.network.Holder(addr)
		switch {
		case held && e.network.IsCut(holder):
			found = append(found, Finding{
				Severity: Broken, What: fmt.Sprintf("%v, %s, is on the interface %s, which is down", addr, text.Few(as), holder.Link.Name),
				Fix: "ip link set " + holder.Link.Name + " up", Of: about(addr, as, "addresses are on an interface that is down"),
			})
		case !held:
			found = append(found, e.notHeld(addr, as, floating)...)
		}
	}
	return found
}

// notHeld is the finding of an address that no interface has, unless the host takes its
// packets all the same, by a route or because it answers neighbours for it.
//
// Answers to an address of snat are lost, so that is Broken. For an address of listen it is
// a Risk: nat needs no interface with it. With takeover that it is not here is how it is to be at
// all balancers but one, and with keepalived at all machines but the master, so there is nothing
// to fix. floating returns which addresses those of keepalived are.
func (e examination) notHeld(addr netip.Addr, as []use, floating func() map[netip.Addr]hostfiles.Place) []Finding {
	to, err := e.network.RouteTo(addr)
	switch {
	case err != nil && !errors.Is(err, network.ErrNoRoute):
		return []Finding{cannotTell("whether the host has "+addr.String(), err)}
	case to.Local:
		return nil
	}
	what := fmt.Sprintf("%v, %s, is on no interface", addr, text.Few(as))
	if !slices.ContainsFunc(as, func(u use) bool { return !u.moves }) {
		return []Finding{{Severity: Risk, What: what + ": another balancer has it, or nobody", Of: about(addr, as, "listen addresses with takeover are on no interface")}}
	}
	for _, near := range e.network.Beside(addr) {
		if network.AnswersFor(addr, near.Link) {
			return nil
		}
	}
	if moved := slices.IndexFunc(as, func(u use) bool { return u.snat }); moved >= 0 {
		return []Finding{{Severity: Broken, What: what + ": answers of the backends are sent there and lost", Fix: e.withoutAddress(addr, as[moved].service), Of: about(addr, as, "snat addresses are on no interface")}}
	}
	if at, floats := floating()[addr]; floats {
		return []Finding{{Severity: Risk, What: fmt.Sprintf("%s: keepalived puts it on the machine that is master (%v)", what, at), Of: about(addr, as, "listen addresses that keepalived moves are on no interface")}}
	}
	found := e.elsewhere(addr, what)
	found.Of = about(addr, as, "listen addresses are on no interface")
	return []Finding{found}
}

// about is an address that is used, where many can be of a kind.
func about(addr netip.Addr, as []use, kind string) finding.Subject {
	of := finding.Subject{Kind: kind, Name: addr.String()}
	for _, u := range as {
		of.Services = append(of.Services, u.service)
	}
	return of
}

// elsewhere is the finding of a listen address that the host does not have. In a subnet of the
// host's neighbours ask who has it. Where another machine answers, to take it from there would
// break both, so it is asked for first; where nobody does, some networks, as those of clouds,
// bring packets here all the same. When it is in another subnet, a router can send its packets here.
func (e examination) elsewhere(addr netip.Addr, what string) Finding {
	for _, near := range e.network.Beside(addr) {
		if !near.Link.Up || near.Link.NoARP {
			continue
		}
		known := e.network.NeighbourAt(addr, near.Link)
		subnet := fmt.Sprintf("in %v on %s", near.Subnet, near.Link.Name)
		with := netip.PrefixFrom(addr, near.Subnet.Bits())
		switch {
		case known.Hardware != "":
			return Finding{Severity: Risk, What: fmt.Sprintf("%s: another machine %s has it, %s", what, subnet, known.Hardware)}
		case !known.Asked && e.Asks:
			return Finding{Severity: Risk, What: fmt.Sprintf("%s, and natspread could not ask the network who has it %s", what, subnet)}
		case !known.Asked:
			return Finding{Severity: Risk, What: fmt.Sprintf("%s, and natspread did not ask the network who has it %s", what, subnet), Fix: "natspread doctor # asks"}
		}
		return Finding{
			Severity: Risk, What: fmt.Sprintf("%s, and nobody answers for it %s, unless the network needs no answer", what, subnet),
			Fix: fmt.Sprintf("ip address add %v dev %s # until the next boot; for good: %s", with, near.Link.Name, e.files().KeepAddress(near.Link.Name, with)),
		}
	}
	return Finding{
		Severity: Risk, What: what + ": its packets come here only if a router sends them",
		Fix: fmt.Sprintf("ip address add %[1]v dev lo # until the next boot, if a router sends %[1]v here", netip.PrefixFrom(addr, addr.BitLen())),
	}
}

// mostAsked is how many addresses neighbours are asked for: who lacks more has another fault.
const mostAsked = 256

// placesToAsk returns where neighbours are to be asked for what the host does not have: addresses of
// listen that do not move from one machine to another.
func (e examination) placesToAsk(used groups[netip.Addr, use]) []network.Place {
	var places []network.Place
	for _, addr := range used.keys {
		_, held := e.network.Holder(addr)
		elsewhere := func(u use) bool { return u.snat || u.moves }
		if held || len(places) >= mostAsked || slices.ContainsFunc(used.values[addr], elsewhere) {
			continue
		}
		for _, near := range e.network.Beside(addr) {
			if near.Link.Up && !near.Link.NoARP {
				places = append(places, network.Place{Addr: addr, On: near.Link})
			}
		}
	}
	return places
}

// withoutAddress is the line after which a service of the file no longer needs an address that the
// host lost. Where another service shares its listen addresses, all stay: both must write the same.
func (e examination) withoutAddress(addr netip.Addr, name string) string {
	return inconfig.WithoutAddress(name, addr, e.halves(name), func(half config.Service) bool { return len(e.beside(half)) > 0 })
}
