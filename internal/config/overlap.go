package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/ranges"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// listenKey is one listen address of a service for one protocol.
type listenKey struct {
	listen   Listen
	protocol Protocol
	family   string
	service  *draft
	at       source.Span
}

// checkNames files every name that an earlier service has, and names that are missing.
func (s inspection) checkNames(drafts []*draft) {
	first, taken, number := make(map[string]source.Span), make(map[string]bool), make(map[string]int)
	for _, d := range drafts {
		taken[d.name.Val] = true
	}
	free := func(name string) string {
		n := max(number[name], 1)
		for taken[value.NumberedName(name, n)] {
			n++
		}
		number[name] = n + 1
		return source.Quote(value.NumberedName(name, n))
	}
	for _, d := range drafts {
		at, twice := first[d.name.Val]
		_, given := d.keys.Of("name")
		switch {
		case strings.Contains(d.Table.Name, "."): // whose fix names it
		case d.name.Val == "" && !given && !d.Broken:
			s.Refuse(d.At, "add name = "+free("web"), "cannot use this service: it has no name")
		case d.name.Val == "", d.half && d.six:
		case twice:
			s.Refuse(d.name.At, "write "+free(d.name.Val),
				"cannot use name %q: the service on line %d has it", d.name.Val, s.Line(at)).Related = s.Line(at)
		default:
			first[d.name.Val] = d.name.At
		}
	}
}

// checkOverlaps files listen addresses that key the same packets: the rules
// of the second would never see one. Sorted, so that ten thousand services cost
// no more than a sort.
func (s inspection) checkOverlaps(drafts []*draft) {
	all := listenKeys(drafts)
	slices.SortFunc(all, compareKeys)
	reported, pairs := make(map[[2]int]bool), make(map[pair][]twins)
	for kin := range ranges.Runs(all, func(a, b listenKey) bool { return a.family == b.family && a.protocol == b.protocol }) {
		var wild ranges.Ranges[listenKey] // "*" comes first, because the zero address does
		for group := range ranges.Runs(kin, func(a, b listenKey) bool { return a.listen.Addr == b.listen.Addr }) {
			same := newRanges(group)
			if group[0].listen.Any() {
				wild = same
			}
			for i, c := range group {
				s.refuseOverlap(c, meeting(same, i), reported)
				if !c.listen.Any() {
					s.refuseOverlap(c, wild.Overlapping(c), reported)
				}
			}
			s.checkTogether(same, pairs, reported)
		}
	}
}

// listenKeys lists what the services key; one without a family keys nothing.
func listenKeys(drafts []*draft) []listenKey {
	var all []listenKey
	for _, d := range drafts {
		six, _, known := d.family()
		if !known {
			continue
		}
		for _, l := range d.listen {
			for _, p := range distinct(d.protocols) {
				all = append(all, listenKey{l.Val, p, familyName(six), d, l.At})
			}
		}
	}
	return all
}

// distinct returns each protocol of a list once, since one written twice is an
// error of its own.
func distinct(list []field.Located[Protocol]) []Protocol {
	all := values(list)
	slices.Sort(all)
	return slices.Compact(all)
}

// compareKeys sorts by family, protocol, address and first port.
func compareKeys(a, b listenKey) int {
	return cmp.Or(
		cmp.Compare(a.family, b.family),
		cmp.Compare(a.protocol, b.protocol),
		a.listen.Addr.Compare(b.listen.Addr),
		cmp.Compare(a.listen.Ports.First, b.listen.Ports.First),
		cmp.Compare(a.at.Start, b.at.Start),
	)
}

// newRanges prepares keys that are sorted by first port.
func newRanges(sorted []listenKey) ranges.Ranges[listenKey] {
	return ranges.New(sorted, func(k listenKey) (first, last uint16) { return k.listen.Ports.First, k.listen.Ports.Last })
}

// inOrder returns two keys in the order of the file.
func inOrder(a, b listenKey) (first, second listenKey) {
	if a.at.Start > b.at.Start {
		return b, a
	}
	return a, b
}

// refuseOverlap files two keys at the later of their places, once for all the
// protocols they share.
func (s inspection) refuseOverlap(c listenKey, other *listenKey, reported map[[2]int]bool) {
	if other == nil {
		return
	}
	first, second := inOrder(*other, c)
	if places := [2]int{first.at.Start, second.at.Start}; !reported[places] {
		reported[places] = true
		s.Refuse(second.at, s.overlapFix(first, second),
			"cannot use listen %s: %s has %s for %s already on line %d%s", s.Show(second.at),
			first.service.label(), s.Show(first.at), first.protocol, s.Line(first.at), overlapCause(first, second)).Related = s.Line(first.at)
	}
}

// overlapFix is the fix for the later one of two listen addresses: the ports that the other one
// leaves it, or the other one without its ports, else another port.
func (s inspection) overlapFix(first, second listenKey) string {
	if fix := s.alignFix(first, second); fix != "" {
		return fix
	}
	if left := second.without(first.listen.Ports); len(left) > 0 {
		return "write " + second.among(left)
	}
	if left := first.without(second.listen.Ports); len(left) > 0 {
		return fmt.Sprintf("write %s in place of %s on line %d", first.among(left), s.Show(first.at), s.Line(first.at))
	}
	if first.service == second.service {
		return "take it out"
	}
	return otherPortFix(second.listen)
}

// without returns the listen addresses of a key's string, with those of the key's own ports that
// are not in a range.
func (k listenKey) without(taken Ports) []string {
	var left []string
	found := false
	for _, l := range k.service.listen {
		switch own := l.Val == k.listen && !found; {
		case l.At != k.at || l.Val.To != 0 && !own:
		case own:
			found = true
			for _, ports := range k.listen.Ports.Without(taken) {
				left = append(left, Listen{Addr: k.listen.Addr, Ports: ports}.String())
			}
		default:
			left = append(left, l.Val.String())
		}
	}
	return left
}

// among writes listen addresses as they stand in place of the key's own: with brackets where it
// stands alone, and without in a list.
func (k listenKey) among(list []string) string {
	if at, _ := k.service.keys.Of("listen"); at == k.at {
		return source.QuoteList(list)
	}
	return strings.Join(source.QuoteAll(list), ", ")
}
