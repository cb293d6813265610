package config

import "slices"

// checkTakeover files takeover where another balancer would not know which backend has a
// connection, or as whom to answer its client.
func (s inspection) checkTakeover(d *draft) {
	if !d.takeover {
		return
	}
	at, _ := d.keys.of("takeover")
	if d.snat.val.Mode != None && !d.unread("snat", d.snat.at) {
		s.refuse(at, `write snat = "none", and lead the backends' answers back through the balancer, or take takeover out`,
			"cannot use takeover: with snat = %q backends do not see the clients, so no other balancer could tell whose connections these are", d.snat.val.String())
	}
	if !d.hashes() && len(d.backends) > 1 && !d.unread("algorithm", d.algorithm.at) {
		s.refuse(at, `write algorithm = "source" or "flow", or take takeover out`,
			"cannot use takeover: with algorithm = %q another balancer would pick another backend for an open connection", d.algorithm.val)
	}
	for _, p := range d.protocols {
		if p.val == SCTP {
			s.refuse(p.at, "make a service of its own for sctp, without takeover", "cannot use protocol %s: connections of sctp are not taken over", s.show(p.at))
		}
	}
	for _, l := range d.listen {
		if l.val.Any() {
			s.refuse(l.at, "write the address that clients ask for", "cannot use listen %s: takeover has to know the one address that backends answer for", s.show(l.at))
		}
	}
}

// answerKey returns where a backend answers what is asked of a listen address.
func answerKey(l Listen, b Backend) Listen {
	if b.Port != 0 {
		l.Ports = Ports{b.Port, b.Port}
	}
	return Listen{b.Addr, l.Ports}
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
	reported := map[span]bool{}
	for same := range runs(all, func(a, b listenKey) bool { return a.protocol == b.protocol && a.listen.Addr == b.listen.Addr }) {
		answers := newRanges(same)
		for i, c := range same {
			s.refuseAnswer(c, answers.among(i, c), reported)
		}
	}
}

// answerKeys returns where backends answer for the listen addresses of a service with takeover.
// It files a range of ports for which a backend answers at one port, and leaves out "*", which
// checkTakeover files.
func (s inspection) answerKeys(d *draft) []listenKey {
	var all []listenKey
	for _, l := range d.listen {
		narrow := func(b located[Backend]) bool { return b.val.Port != 0 && l.val.Ports.First != l.val.Ports.Last }
		if i := slices.IndexFunc(d.backends, narrow); i >= 0 {
			s.refuse(l.at, "take the ports of the backends out, or list one port", "cannot use listen %s: takeover cannot tell for which of its ports backend %s answers",
				s.show(l.at), s.show(d.backends[i].at)).Related = s.line(d.backends[i].at)
			continue
		}
		if l.val.Any() {
			continue
		}
		for _, b := range d.backends {
			for _, p := range distinct(d.protocols) {
				all = append(all, listenKey{answerKey(l.val, b.val), p, "", d, l.at})
			}
		}
	}
	return all
}

// refuseAnswer files the later one of two listen addresses for which a backend answers at one
// place, once. Two that are the same are filed by checkOverlaps.
func (s inspection) refuseAnswer(c listenKey, other *listenKey, reported map[span]bool) {
	if other == nil || other.at == c.at || s.show(other.at) == s.show(c.at) {
		return
	}
	first, second := *other, c
	if first.at.start > second.at.start {
		first, second = second, first
	}
	if !reported[second.at] {
		reported[second.at] = true
		s.refuse(second.at, "give one of the two other backends, or the same ones at another port, or take takeover out of one",
			"cannot use listen %s: a backend at %s would answer for it and for %s on line %d, and takeover cannot tell which",
			s.show(second.at), second.listen, s.show(first.at), s.line(first.at)).Related = s.line(first.at)
	}
}
