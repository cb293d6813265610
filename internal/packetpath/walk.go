package packetpath

import "slices"

// mostDepth bounds how many chains lead to one another. The kernel takes no loop, so only a
// text that it did not print can have more.
const mostDepth = 32

// walk follows packets through the hooks that they meet one after the other.
type walk struct {
	crowd
	live    set // those that are still on their way
	unsure  set // those that a rule of this hook may have let through already
	reached set // those that natspread's own rules decided about
	ghosts  bool
	hook    hook
	zone    []int // that each packet is in; -1 where that is not known
	events  []Event
}

// newWalk begins with packets that nothing has happened to.
func newWalk(packets []Packet) *walk {
	return &walk{
		crowd: newCrowd(packets), live: fullSet(len(packets)), unsure: newSet(len(packets)),
		reached: newSet(len(packets)), zone: make([]int, len(packets)),
	}
}

// emit notes what a rule does to packets. What it does by a rule that nobody can tell the
// answer of, or that one before it may have kept packets from, is not sure.
func (w *walk) emit(what Kind, is *Rule, packets set, level answer) {
	sure, unsure := packets.without(w.unsure), packets.and(w.unsure)
	if level != yes {
		sure, unsure = newSet(len(w.packets)), packets
	}
	for _, part := range []struct {
		packets set
		sure    bool
	}{{sure, true}, {unsure, false}} {
		if !part.packets.empty() {
			rule := *is
			rule.OfForward = w.hook.at == Forward
			w.events = append(w.events, Event{What: what, Rule: rule, Sure: part.sure, Packets: part.packets.members()})
		}
	}
}

// run follows the packets through one hook.
func (w *walk) run(h hook) {
	w.hook, w.unsure, w.ghosts = h, newSet(len(w.packets)), h.nat && !w.reached.empty()
	in := w.live
	if h.device != "" {
		in = w.byDevice(h.device)
	}
	how := yes
	if h.tied {
		how = perhaps
	}
	left := w.through(h.chain, in, how, 0)
	if c := h.table[h.chain]; c != nil && c.policy != nil {
		left = left.and(w.live)
		w.emit(Dropped, c.policy, left, yes)
		w.live = w.live.without(left)
	}
}

// byDevice returns those packets that come in by an interface, or may.
func (w *walk) byDevice(name string) set {
	in := newSet(len(w.packets))
	for _, i := range w.live.members() {
		if sameLink(name, w.packets[i].In) == yes {
			in.add(i)
		}
	}
	return in
}

// through follows packets through one chain, that lead there for sure or not, and returns
// those that come out at its end.
func (w *walk) through(name string, packets set, how answer, depth int) set {
	c := w.hook.table[name]
	if c == nil || depth > mostDepth {
		return packets
	}
	in := slices.Clone(packets)
	returned := newSet(len(w.packets))
	for i := range c.rules {
		r := &c.rules[i]
		if r.verdict == goesOn && r.effect == nothing {
			continue
		}
		if in.empty() {
			break
		}
		matched := w.match(r, in)
		for _, level := range []answer{yes, perhaps, some} {
			if !matched[level].empty() {
				w.meet(r, meeting{matched[level], level, how, depth}, in, returned)
			}
		}
	}
	in.or(returned)
	return in
}

// meeting is the packets that a rule matches, how sure that is, and how sure it is that they
// come by there at all.
type meeting struct {
	packets set
	matched answer
	how     answer
	depth   int
}

// level returns how sure it is that the packets meet what the rule does.
func (m meeting) level() answer { return m.matched.and(m.how) }

// meet does what a rule does to packets. It takes those out of in that do not meet the next
// rule, and adds those to returned that leave the chain undecided.
func (w *walk) meet(r *rule, m meeting, in, returned set) {
	w.change(r, m)
	if r.verdict == goesOn {
		return
	}
	left := m.packets
	switch r.verdict {
	case jumps:
		left = m.packets.without(w.through(r.target, m.packets, m.level(), m.depth+1))
	case goesTo:
		rest := w.through(r.target, m.packets, m.level(), m.depth+1)
		if m.matched == yes {
			returned.or(rest)
		} else {
			w.unsure.or(rest)
		}
	case ours:
		left = w.own(r, m)
	default:
		w.decide(r, m)
		if r.verdict == returns && m.matched == yes {
			returned.or(m.packets)
		}
		if r.verdict == asks {
			return
		}
	}
	if m.matched == yes {
		in.less(left)
	}
}

// own is what natspread's own rules do. In a nat table they decide; what follows there is a
// walk of what would have become of the packets. In the filter table they are a chain like
// any other.
func (w *walk) own(r *rule, m meeting) (left set) {
	if !w.hook.nat {
		return m.packets.without(w.through(r.target, m.packets, m.level(), m.depth+1))
	}
	if w.hook.at == Postrouting {
		if !w.hook.table.accepts(r.target) {
			return newSet(len(w.packets))
		}
		w.live = w.live.without(m.packets)
		return m.packets
	}
	w.reached.or(m.packets)
	w.ghosts = true
	return newSet(len(w.packets))
}

// accepts tells whether one of natspread's chains accepts.
func (t table) accepts(name string) bool {
	c := t[name]
	if c == nil {
		return false
	}
	for i := range c.rules {
		if c.rules[i].verdict == accepts {
			return true
		}
	}
	return false
}

// keepSource returns the packets whose source natspread leaves as it is.
func (w *walk) keepSource() set {
	all := newSet(len(w.packets))
	for i := range w.packets {
		if w.packets[i].KeepsSource {
			all.add(i)
		}
	}
	return all
}

// decide notes a verdict that ends the way through a chain.
func (w *walk) decide(r *rule, m meeting) {
	level := m.level()
	if w.ghosts {
		if r.verdict == translates && level >= some { // of a share, or for some clients, is as dead as all of it
			w.events = append(w.events, Event{What: Unreached, Rule: *r.is, Sure: level == yes, Packets: m.packets.members()})
		}
		return
	}
	switch r.verdict {
	case accepts, returns:
		if w.hook.ours && w.hook.at != Postrouting && (r.verdict == accepts || m.depth == 0) {
			w.emit(Taken, r.is, m.packets.without(w.reached), level)
		}
		if level != yes {
			w.unsure.or(m.packets)
		}
	case drops:
		if level >= perhaps {
			w.emit(Dropped, r.is, m.packets, level)
		}
		w.end(m.packets, level)
	case translates:
		w.emit(Taken, r.is, m.packets, level)
		w.end(m.packets, level)
	case hides:
		w.emit(Hidden, r.is, m.packets, level)
		w.end(m.packets, level)
	case asks:
		w.emit(Asked, r.is, m.packets, perhaps)
		w.unsure.or(m.packets)
	}
}

// end takes packets off their way, where it is sure.
func (w *walk) end(packets set, level answer) {
	if level == yes {
		w.live = w.live.without(packets.without(w.unsure))
	}
}

// change does what a rule does to packets beside its verdict. Once a packet is tracked, it
// stays so, in the zone that it is in.
func (w *walk) change(r *rule, m meeting) {
	if r.effect == nothing || w.ghosts {
		return
	}
	switch {
	case r.effect == rewrites:
		w.emit(Asked, r.is, m.packets, perhaps)
	case w.hook.priority > tracking:
	case r.effect == untracks && m.level() >= some:
		w.emit(Untracked, r.is, m.packets, m.level())
	case r.effect == zones:
		w.emit(Zoned, r.is, m.packets, m.level())
		for _, i := range m.packets.members() {
			w.zone[i] = r.zone
			if m.level() != yes {
				w.zone[i] = -1
			}
		}
	}
}
