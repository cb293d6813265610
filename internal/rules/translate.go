package rules

import "slices"

// CanTranslate tells whether a table can lead a packet from a built-in chain to any target
// of ours, by whichever turn of chance. It is asked of packets that are long gone: one whose
// InInterface is "" may have come in by any.
func (t Table) CanTranslate(builtIn string, packet Packet) bool {
	return t.canLead(builtIn, packet, func(target Target) bool {
		return target.Chain == "" && target.Kind != Return && target.Kind != Accept
	})
}

// CanStay tells whether a table can lead a packet to a backend that is the listen address itself. The
// packet is as for CanTranslate.
func (t Table) CanStay(builtIn string, packet Packet) bool {
	return t.canLead(builtIn, packet, func(target Target) bool { return target.Kind == Accept })
}

// canLead tells whether a table can lead a packet from a built-in chain to a target of a kind.
func (t Table) canLead(builtIn string, packet Packet, is func(Target) bool) bool {
	return slices.ContainsFunc(t.Name.EntryChains(builtIn), func(chain string) bool {
		return t.reaches(chain, packet, len(t.Chains), is)
	})
}

// TurnsAway tells whether a table leads a packet from a built-in chain to a gate, and from there neither
// to a service nor, where that is not "", to that one. The packet is as for CanTranslate.
func (t Table) TurnsAway(builtIn string, packet Packet, service string) bool {
	leadsOn := func(target Target) bool {
		if service != "" {
			return target.Chain == ServiceChain(service)
		}
		return target.Chain != "" && target.Chain == ServiceChain(ServiceOf(target.Chain))
	}
	isGate := func(target Target) bool { return IsGate(target.Chain) }
	for _, chain := range t.Name.EntryChains(builtIn) {
		if t.reaches(chain, packet, len(t.Chains), isGate) {
			return !t.reaches(chain, packet, len(t.Chains), leadsOn)
		}
	}
	return false
}

// Gated tells whether a table has the gate of any service.
func (t Table) Gated() bool {
	return slices.ContainsFunc(t.Chains, func(c Chain) bool { return IsGate(c.Name) })
}

// reaches tells whether a packet gets to a target of a kind, from an own chain on; so many chains
// deep is a circle.
func (t Table) reaches(name string, packet Packet, depth int, is func(Target) bool) bool {
	chain, found := t.Chain(name)
	if !found || depth == 0 {
		return false
	}
	for _, rule := range chain.Rules {
		anyLink := packet.InInterface == "" && rule.InInterface != ""
		if anyLink {
			rule.InInterface = ""
		}
		if !rule.Matches(packet) || !rule.Target.Ends() {
			continue
		}
		chance := anyLink || rule.Statistic != (Statistic{}) || rule.Mark != (Mark{})
		switch leads := rule.Target.Chain != ""; {
		case is(rule.Target) || leads && t.reaches(rule.Target.Chain, packet, depth-1, is):
			return true
		case (rule.Target.Kind == Goto || rule.Target.Kind == Return) && !chance:
			return false // its way back leads behind this chain's own caller
		}
	}
	return false
}
