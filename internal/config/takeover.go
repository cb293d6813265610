package config

import (
	"slices"

	"natspread/internal/config/field"
	"natspread/internal/config/ranges"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// checkTakeover files takeover where another balancer would not know which backend has a
// connection, or as whom to answer its client.
func (s inspection) checkTakeover(d *draft) {
	if !d.takeover {
		return
	}
	at, _ := d.keys.Of("takeover")
	if d.snat.Val.Mode != None && !d.unread("snat", d.snat.At) {
		s.Refuse(at, `write snat = "none", and route the backends' answers back through the balancer, or take takeover out`,
			"cannot use takeover: with snat = %q backends do not see the clients, so no other balancer could tell whose connections these are", d.snat.Val.String())
	}
	if !d.hashes() && len(d.backends) > 1 && !d.unread("algorithm", d.algorithm.At) {
		s.Refuse(at, `write algorithm = "source" or "flow", or take takeover out`,
			"cannot use takeover: with algorithm = %q another balancer would pick another backend for an open connection", d.algorithm.Val)
	}
	for _, p := range d.protocols {
		if p.Val == SCTP {
			s.Refuse(p.At, "natspread can't take sctp over: write a service of its own for it, without takeover", "cannot use protocol %s: connections of sctp are not taken over", s.Show(p.At))
		}
	}
	for _, l := range d.listen {
		if l.Val.Any() {
			s.Refuse(l.At, "write the address that clients ask for, as in "+source.Quote(value.Join("192.0.2.10", l.Val.Ports.String())), "cannot use listen %s: takeover has to know the one address that backends answer for", s.Show(l.At))
		}
	}
}

// answerKey returns where a backend answers what is asked of a listen address.
func answerKey(l Listen, b Backend) Listen {
	return Listen{Addr: b.Addr, Ports: l.Answers(b)}
}

// checkAnswers files listen addresses of services with takeover for which one backend answers
// at the same port: the source of what it says first could be rewritten to either.
func (s inspection) checkAnswers(drafts []*draft) {
	var all []listenKey
	for _, d := range drafts {
		if d.takeover {
			all = append(all, s.answerKeys(d)...)
		}
	}
	slices.SortFunc(all, compareKeys)
	reported := map[source.Span]bool{}
	for same := range ranges.Runs(all, func(a, b listenKey) bool { return a.protocol == b.protocol && a.listen.Addr == b.listen.Addr }) {
		answers := newRanges(same)
		for i, c := range same {
			s.refuseAnswer(c, answers.Among(i, c), reported)
		}
	}
}

// answerKeys returns where backends answer for the listen addresses of a service with takeover.
// It files a range of ports for which a backend answers at one port, or at others than were asked:
// SNAT cannot shift them back. It leaves out "*", which checkTakeover files.
func (s inspection) answerKeys(d *draft) []listenKey {
	var all []listenKey
	for _, l := range d.listen {
		narrow := func(b field.Located[Backend]) bool {
			return l.Val.Ports.Count() > 1 && l.Val.Answers(b.Val) != l.Val.Ports
		}
		if i := slices.IndexFunc(d.backends, narrow); i >= 0 {
			fix := "take takeover out, or write the backends without their ports"
			if d.maps() {
				fix = "take takeover out, or write each port of its own in ports"
			}
			s.Refuse(l.At, fix, "cannot use listen %s: takeover cannot tell for which of its ports backend %s answers",
				s.Show(l.At), s.Show(d.backends[i].At)).Related = s.Line(d.backends[i].At)
			continue
		}
		if l.Val.Any() {
			continue
		}
		for _, b := range d.backends {
			for _, p := range distinct(d.protocols) {
				all = append(all, listenKey{answerKey(l.Val, b.Val), p, "", d, l.At})
			}
		}
	}
	return all
}

// refuseAnswer files the later one of two listen addresses for which a backend answers at one
// place, once. Two that are the same are filed by checkOverlaps.
func (s inspection) refuseAnswer(c listenKey, other *listenKey, reported map[source.Span]bool) {
	if other == nil || other.at == c.at || s.Show(other.at) == s.Show(c.at) {
		return
	}
	first, second := inOrder(*other, c)
	if !reported[second.at] {
		reported[second.at] = true
		s.Refuse(second.at, "take takeover out, or give one of the two other backends, or the same ones at another port",
			"cannot use listen %s: a backend at %s would answer for it and for %s on line %d, and takeover cannot tell which",
			s.Show(second.at), second.listen, s.Show(first.at), s.Line(first.at)).Related = s.Line(first.at)
	}
}
