package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// marks looks for those who route by the marks of packets, beside a service whose clients
// keep their backends: its rules overwrite the mark of a connection's first packet, and give
// it the one that was saved with the connection, before the packet is routed.
func (e examination) marks() []Finding {
	var found []Finding
	for _, family := range e.families() {
		services := e.slotted(family)
		if len(services) == 0 {
			continue
		}
		list, err := e.network.PolicyRules(family)
		if err != nil {
			found = append(found, cannotTell(fmt.Sprintf("%v: who routes by marks", family), err))
			continue
		}
		at := slices.IndexFunc(list, func(r network.PolicyRule) bool { return r.Mark != 0 })
		if at < 0 {
			continue
		}
		words := fmt.Sprintf("%v: ip rule %d routes by the mark 0x%x", family, list[at].Preference, list[at].Mark)
		found = append(found, e.lostMarks(family, words, services)...)
		if !slices.ContainsFunc(list[:at], func(r network.PolicyRule) bool { return r.Specific }) {
			found = append(found, strayed(family, words, services, list[at].Preference))
		}
	}
	return found
}

// slotted returns the names of the services of a family whose clients have slots.
func (e examination) slotted(family rules.Family) []string {
	var names []string
	for _, service := range e.Services {
		if familyOf(service) == family && service.Slots != 0 {
			names = append(names, service.Name)
		}
	}
	return names
}

// lostMarks is the finding of a rule that marks packets, if no rule saves marks with their
// connections: then natspread cannot give them back.
func (e examination) lostMarks(family rules.Family, words string, services []string) []Finding {
	for _, ruleset := range e.Rulesets {
		if ruleset.Family != family {
			continue
		}
		marks, chain, saves := marking(ruleset)
		if marks == "" || saves {
			continue
		}
		return []Finding{{
			Severity: Risk, What: fmt.Sprintf("%s, which %s sets, and nobody saves with its connection: the first packet of each connection to %s loses it", words, marks, text.Few(services)),
			Fix: fmt.Sprintf("%s -t mangle -A %s -m mark ! --mark 0 -j CONNMARK --save-mark", rules.Program(family, ruleset.Variant, ""), chain),
		}}
	}
	return nil
}

// marking returns the first rule of raw or mangle that marks packets, the built-in chain of
// mangle at whose end all of these have passed, and whether a rule saves marks with their
// connections.
func marking(ruleset rules.Ruleset) (marks, chain string, saves bool) {
	for _, name := range []string{"raw", "mangle"} {
		for _, c := range ruleset.Tables[name] {
			for _, r := range c.Rules {
				saves = saves || r.JumpsTo() == "CONNMARK" && slices.Contains(slices.Collect(r.Words()), "--save-mark")
				if r.JumpsTo() != "MARK" || marks != "" {
					continue
				}
				marks = fmt.Sprintf("%s -A %s %s", name, c.Name, r.Text)
				if chain = rules.Prerouting; c.Name == rules.Output {
					chain = rules.Output
				}
			}
		}
	}
	return marks, chain, saves
}

// strayed is the finding of a rule that would send the first packet of a connection where its
// mark leads, in place of its backend.
func strayed(family rules.Family, words string, services []string, preference int) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf(
		"%s, also the first packet of a connection to %s that has it: away from its backend, as no rule before it looks for a route to that", words, text.Few(services))}
	if preference > 1 { // before the table local there is no place
		found.Fix = fmt.Sprintf("%s rule add pref %d lookup main suppress_prefixlength 0", ipProgram(family), preference-1)
	}
	return found
}

// ipProgram returns the program, with its option, that sets the rules and routes of a family.
func ipProgram(family rules.Family) string {
	if family == rules.IPv6 {
		return "ip -6"
	}
	return "ip"
}
