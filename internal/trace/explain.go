package trace

import (
	"reflect"

	"natspread/internal/rules"
)

// Explanation is all that tables make of the connections that one packet may begin.
type Explanation struct {
	Incoming *Path     // through PREROUTING
	Local    *Path     // through OUTPUT: the same, made on the balancer itself
	Outcomes []Outcome // of both
	Slot     *Slot     // the slot of a known client that comes in, where that decides
}

// Same tells whether a connection made on the balancer itself meets the same rules as
// one that comes in; only the chains that the jumps lead to have other names.
func (e Explanation) Same() bool {
	in, local := e.Incoming.Hops, e.Local.Hops
	if len(in) == 0 || len(local) == 0 {
		return len(in) == len(local)
	}
	a, b := *in[0].Into, *local[0].Into
	a.Chain = b.Chain
	return reflect.DeepEqual(a, b)
}

// Outcome is what happens to some of the connections.
type Outcome struct {
	Target   rules.Target // a backend with its port, or a refusal
	Taken    bool         // false for those that no rule claims, which have no target
	Stays    bool         // on this host, as they came: nothing translates them, here or later
	Incoming Flow         // how many of those that come in
	Local    Flow         // how many of those made on the balancer itself
	Mangle   *Path        // through FORWARD of the mangle table; nil as Forward is, and without TCP
	Forward  *Path        // through FORWARD; nil where natspread has nothing there, and for a refusal
	After    *Path        // through POSTROUTING; nil for a refusal, which goes nowhere, and for what stays
}

// Work returns the connections that come in, with all the rules that the kernel looks
// at for them.
func (b Outcome) Work() Flow {
	work := b.Incoming
	for _, path := range []*Path{b.Mangle, b.Forward, b.After} {
		if path != nil {
			more := path.Work()
			work.Mean, work.Worst = work.Mean+more.Mean, work.Worst+more.Worst
		}
	}
	return work
}

// Explain walks a packet that asks for a service through tables: first
// through PREROUTING, or OUTPUT, and then, as what became of it, through FORWARD and
// POSTROUTING. It fails as Trace does.
func Explain(tables rules.Tables, packet rules.Packet) (Explanation, error) {
	family := rules.FamilyOf(packet.Destination)
	table := tables.Of(family)
	var explained Explanation
	var err error
	if explained.Incoming, err = Trace(table, rules.Prerouting, packet); err != nil {
		return Explanation{}, err
	}
	local := packet
	local.InInterface = ""
	if explained.Local, err = Trace(table, rules.Output, local); err != nil {
		return Explanation{}, err
	}
	explained.Outcomes = outcomesOf(explained.Incoming, explained.Local, packet.Port)
	if explained.Slot, err = slotOf(table, explained.Incoming, packet); err != nil {
		return Explanation{}, err
	}
	for i := range explained.Outcomes {
		outcome := &explained.Outcomes[i]
		if outcome.Target.Kind == rules.Refuse || outcome.Stays {
			continue
		}
		if outcome.After, err = Trace(table, rules.Postrouting, outcome.packet(packet)); err != nil {
			return Explanation{}, err
		}
		if !outcome.Taken || outcome.Incoming.Share.Sign() == 0 { // made here is not forwarded
			continue
		}
		if outcome.Forward, err = traceForward(tables.Filter(family), outcome.packet(packet)); err != nil {
			return Explanation{}, err
		}
		if packet.Protocol != "tcp" {
			continue
		}
		if outcome.Mangle, err = traceForward(tables.Mangle(family), outcome.packet(packet)); err != nil {
			return Explanation{}, err
		}
	}
	return explained, nil
}

// traceForward is Trace through FORWARD of a table; nil where natspread has nothing there.
func traceForward(table rules.Table, packet rules.Packet) (*Path, error) {
	if table.Empty() {
		return nil, nil
	}
	return Trace(table, rules.Forward, packet)
}

// outcomesOf joins the ends of both paths by their targets, in the order in which the
// rules come to them, and then what is left.
func outcomesOf(incoming, local *Path, port uint16) []Outcome {
	places := map[rules.Target]int{}
	var outcomes []Outcome
	at := func(end Hop) *Outcome {
		target := end.Rule.Leads()
		if target.Kind == rules.DNAT {
			target.Port, target.Shift = target.LandsAt(port), rules.Shift{}
		}
		place, known := places[target]
		if !known {
			place = len(outcomes)
			places[target] = place
			outcomes = append(outcomes, Outcome{Target: target, Taken: true, Stays: end.Rule.Target.Kind == rules.Accept, Incoming: none(), Local: none()})
		}
		return &outcomes[place]
	}
	for _, end := range incoming.Ends() {
		at(end).Incoming = at(end).Incoming.Join(end.Taken)
	}
	for _, end := range local.Ends() {
		at(end).Local = at(end).Local.Join(end.Taken)
	}
	if incoming.Remainder.Share.Sign()+local.Remainder.Share.Sign() > 0 {
		outcomes = append(outcomes, Outcome{Incoming: incoming.Remainder, Local: local.Remainder})
	}
	return outcomes
}

// packet returns what a packet looks like in POSTROUTING.
func (b Outcome) packet(asked rules.Packet) rules.Packet {
	asked.InInterface = "" // POSTROUTING knows none
	if b.Taken {
		asked.OriginalAddress, asked.OriginalPort = asked.Destination, asked.Port
		asked.Destination, asked.Port, asked.Local = b.Target.Address, b.Target.Port, false
	}
	return asked
}
