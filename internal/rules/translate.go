package rules

import "slices"

// CanTranslate tells whether a table can lead a packet from a built-in chain to any target
// of ours, by whichever turn of chance. It is asked of packets that are long gone: one whose
// InInterface is "" may have come in by any.
func (t Table) CanTranslate(builtIn string, packet Packet) bool {
	return slices.ContainsFunc(t.Name.EntryChains(builtIn), func(chain string) bool { return t.reaches(chain, packet, len(t.Chains)) })
}

// reaches is Translates from an own chain on; so many jumps deep is a circle.
func (t Table) reaches(name string, packet Packet, depth int) bool {
	chain, found := t.Chain(name)
	if !found || depth == 0 {
		return false
	}
	for _, rule := range chain.Rules {
		if packet.InInterface == "" {
			rule.InInterface = ""
		}
		if !rule.Matches(packet) || !rule.Target.Ends() {
			continue
		}
		switch leads := rule.Target.Chain != ""; {
		case !leads || t.reaches(rule.Target.Chain, packet, depth-1):
			return true
		case rule.Target.Kind == Goto && rule.Statistic == (Statistic{}) && rule.Mark == (Mark{}):
			return false // its way back leads behind this chain's own caller
		}
	}
	return false
}
