package trace

import (
	"reflect"

	"natspread/internal/rules"
)

// Explanation is all that tables make of the connections that one packet may begin.
type Explanation struct {
	Incoming *Way     // through PREROUTING
	Local    *Way     // through OUTPUT: the same, made on the balancer itself
	Becomes  []Become // of both
}

// Same tells whether a connection made on the balancer itself meets the same rules as
// one that comes in; only the chains that the jumps lead to have other names.
func (e Explanation) Same() bool {
	in, local := e.Incoming.Steps, e.Local.Steps
	if len(in) == 0 || len(local) == 0 {
		return len(in) == len(local)
	}
	a, b := *in[0].Into, *local[0].Into
	a.Chain = b.Chain
	return reflect.DeepEqual(a, b)
}

// Become is what becomes of some of the connections.
type Become struct {
	Target   rules.Target // a backend with its port, or a refusal
	Taken    bool         // false for those that no rule claims, which have no target
	Incoming Flow         // how many of those that come in
	Local    Flow         // how many of those made on the balancer itself
	Forward  *Way         // through FORWARD; nil where natspread has nothing there, and for a refusal
	After    *Way         // through POSTROUTING; nil for a refusal, which goes nowhere
}

// Work returns the connections that come in, with all the rules that the kernel looks
// at for them.
func (b Become) Work() Flow {
	work := b.Incoming
	for _, way := range []*Way{b.Forward, b.After} {
		if way != nil {
			more := way.Work()
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
	table, filter := tables.Of(family), tables.Filter(family)
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
	explained.Becomes = becoming(explained.Incoming, explained.Local, packet.Port)
	for i := range explained.Becomes {
		become := &explained.Becomes[i]
		if become.Target.Kind == rules.Redirect {
			continue
		}
		if become.After, err = Trace(table, rules.Postrouting, become.packet(packet)); err != nil {
			return Explanation{}, err
		}
		if filter.Empty() || !become.Taken || become.Incoming.Share.Sign() == 0 { // made here is not forwarded
			continue
		}
		if become.Forward, err = Trace(filter, rules.Forward, become.packet(packet)); err != nil {
			return Explanation{}, err
		}
	}
	return explained, nil
}

// becoming joins the ends of both ways by their targets, in the order in which the
// rules come to them, and then what is left.
func becoming(incoming, local *Way, port uint16) []Become {
	places := map[rules.Target]int{}
	var becomes []Become
	at := func(end Step) *Become {
		target := end.Rule.Target
		if target.Kind == rules.DNAT && target.Port == 0 {
			target.Port = port
		}
		place, known := places[target]
		if !known {
			place = len(becomes)
			places[target] = place
			becomes = append(becomes, Become{Target: target, Taken: true, Incoming: none(), Local: none()})
		}
		return &becomes[place]
	}
	incoming.ends(func(end Step) { at(end).Incoming = at(end).Incoming.Join(end.Taken) })
	local.ends(func(end Step) { at(end).Local = at(end).Local.Join(end.Taken) })
	if incoming.Left.Share.Sign()+local.Left.Share.Sign() > 0 {
		becomes = append(becomes, Become{Incoming: incoming.Left, Local: local.Left})
	}
	return becomes
}

// packet returns what a packet looks like in POSTROUTING.
func (b Become) packet(asked rules.Packet) rules.Packet {
	asked.InInterface = "" // POSTROUTING knows none
	if b.Taken {
		asked.OriginalAddress, asked.OriginalPort = asked.Destination, asked.Port
		asked.Destination, asked.Port, asked.Local = b.Target.Address, b.Target.Port, false
	}
	return asked
}
