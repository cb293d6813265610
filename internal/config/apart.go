package config

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/ranges"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// maxTogether is how many services may have one listen address: the rules ask a new connection for
// each of them.
const maxTogether = 16

// apart tells whether no packet is for the services of both drafts, if they listen for the same.
func (d *draft) apart(other *draft) bool {
	if d == other || len(d.links)+len(d.gate.allow)+len(d.gate.deny) == 0 {
		return false
	}
	return d.audience().Apart(other.audience())
}

// shares tells whether two keys are one listen address of two services that are apart.
func (k listenKey) shares(other listenKey) bool {
	same := k.protocol == other.protocol && k.family == other.family && k.listen.Addr == other.listen.Addr && k.listen.Ports == other.listen.Ports
	return same && k.service.apart(other.service)
}

// meeting returns that of the keys before the one at a place which is for packets of that one, too,
// or nil. Those with the same listen address may be apart.
func meeting(r ranges.Ranges[listenKey], i int) *listenKey {
	c := r.Keys[i]
	other := r.Among(i, c)
	if other == nil || !c.shares(*other) {
		return other
	}
	for _, other := range together(r.Keys[:i], c) {
		if !c.shares(other) {
			return &other
		}
	}
	return nil
}

// together returns some of the keys before another one that have its first port, the last ones first:
// all there are, or as many as may have it together.
func together(before []listenKey, c listenKey) []listenKey {
	var all []listenKey
	for _, other := range slices.Backward(before) {
		if len(all) == maxTogether || other.listen.Ports.First != c.listen.Ports.First {
			break
		}
		all = append(all, other)
	}
	return all
}

// overlapCause says why two services with conditions overlap all the same, if both name interfaces,
// or clients.
func overlapCause(first, second listenKey) string {
	if first.service.apart(second.service) {
		return "; services that interface or allow tell apart must have the same listen address"
	}
	for _, link := range second.service.links {
		for _, other := range first.service.links {
			if first.service != second.service && value.InterfacesMeet(link.Val, other.Val) {
				return fmt.Sprintf(", by interface %s too", source.Quote(other.Val))
			}
		}
	}
	a, b := first.service.audience(), second.service.audience()
	serves := func(clients netip.Prefix) bool { return a.Gated() && !a.ServesNone(clients) && !b.ServesNone(clients) }
	if i := slices.IndexFunc(b.Allow, serves); i >= 0 && first.service != second.service {
		return fmt.Sprintf(", for clients of %s too", b.Allow[i])
	}
	return ""
}

// alignFix is the fix for two listen addresses of services that are apart: both in parts that are the
// same, or do not meet. It is "" where no parts are the same.
func (s inspection) alignFix(first, second listenKey) string {
	a, b := first.listen.Ports, second.listen.Ports
	if first.listen.Addr != second.listen.Addr || !first.service.apart(second.service) {
		return ""
	}
	same := Listen{Addr: first.listen.Addr, Ports: Ports{First: max(a.First, b.First), Last: min(a.Last, b.Last)}}.String()
	parts := func(k listenKey, other Ports) string {
		return k.among(append([]string{same}, k.without(other)...))
	}
	var fixes []string
	if a.First < b.First || a.Last > b.Last {
		fixes = append(fixes, fmt.Sprintf("%s in place of %s on line %d", parts(first, b), s.Show(first.at), s.Line(first.at)))
	}
	if b.First < a.First || b.Last > a.Last {
		fixes = slices.Insert(fixes, 0, parts(second, a))
	}
	return "write " + strings.Join(fixes, ", and ")
}

// otherPortFix is the fix that has another listen address.
func otherPortFix(l Listen) string {
	if l.Ports.Last == math.MaxUint16 {
		l.Ports.Last = 1023
	}
	l.Ports = Ports{First: l.Ports.Last + 1, Last: l.Ports.Last + 1}
	return fmt.Sprintf("write another address or port, as in %q", l)
}

// pair is two services that have a listen address together, the later one in the file second.
type pair struct{ first, second *draft }

// twins are backends of a pair that have one address: that of the first service, and that of the
// second.
type twins [2]field.Located[Backend]

// checkTogether files what services say against one another that have the same listen address.
func (s inspection) checkTogether(r ranges.Ranges[listenKey], pairs map[pair][]twins, reported map[[2]int]bool) {
	for i, c := range r.Keys {
		others := together(r.Keys[:i], c)
		if len(others) == maxTogether {
			s.Refuse(c.at, otherPortFix(c.listen), "cannot use listen %s: %d services have it, and that is the most", s.Show(c.at), maxTogether)
			continue
		}
		for _, other := range others {
			if !c.shares(other) {
				continue
			}
			first, second := inOrder(other, c)
			two := pair{first.service, second.service}
			same, known := pairs[two]
			if !known {
				if places := [2]int{two.first.At.Start, two.second.At.Start}; !reported[places] { // else by the other family
					reported[places] = true
					s.checkPair(two, first.listen)
				}
				same = two.twins()
				pairs[two] = same
			}
			s.checkTwins(same, first, second)
		}
	}
}

// checkPair files what is to be said once of a pair.
func (s inspection) checkPair(p pair, listen Listen) {
	placeOf := func(key string) (at source.Span, verb string) {
		if at, given := p.second.keys.Of(key); given {
			return at, "write "
		}
		return p.second.At, "add "
	}
	if p.first.local && p.second.local {
		at, verb := placeOf("local")
		s.Refuse(at, verb+"local = false", "cannot use local = true: connections made on this machine to %q are for %s already, and interface and allow do not ask them", listen, p.first.label())
	}
	byClients := !p.first.audience().ApartByInterface(p.second.audience())
	if a, b := p.first.refusal(), p.second.refusal(); byClients && a != b {
		at, verb := placeOf("refused")
		s.Refuse(at, fmt.Sprintf("%srefused = %q", verb, a), "cannot use refused = %q: %s has %q for clients that neither of the two serves", b, p.first.label(), a)
	}
}

// twins returns the backends of a pair that have an address in common.
func (p pair) twins() []twins {
	at := make(map[netip.Addr][]field.Located[Backend], len(p.first.backends))
	for _, b := range p.first.backends {
		at[b.Val.Addr] = append(at[b.Val.Addr], b)
	}
	var all []twins
	for _, b := range p.second.backends {
		for _, same := range at[b.Val.Addr] {
			all = append(all, twins{same, b})
		}
	}
	return all
}

// checkTwins files backends that answer at one place for a listen address of two services. Behind the
// pick a connection has neither an interface nor the name of its service: the backend alone tells
// whose it is.
func (s inspection) checkTwins(all []twins, first, second listenKey) {
	for _, t := range all {
		a, b := first.listen.Answers(t[0].Val), second.listen.Answers(t[1].Val)
		if a.Overlaps(b) {
			s.Refuse(t[1].At, "natspread can't tell whose connections it gets: write another port or address of that machine, or take it out of one of the two",
				"cannot use backend %s: %s has it for %q too, on line %d", s.Show(t[1].At), first.service.label(), first.listen, s.Line(t[0].At)).Related = s.Line(t[0].At)
			return
		}
	}
}

// refusal is what those get whom the service of a draft does not serve.
func (d *draft) refusal() Refused { return cmp.Or(d.gate.refused.Val, Reject) }
