package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// fail2banChain is what the names of fail2ban's chains begin with.
const fail2banChain = "f2b-"

// bans finds chains of fail2ban in INPUT only, where it puts them by default, whose bans are
// meant for ports that services listen on: what is balanced to another machine never meets
// INPUT, so they hold for none of it.
func (e examination) bans() []Finding {
	var found []Finding
	for _, r := range e.Rulesets {
		input, _ := r.Chain("filter", rules.Input)
		for _, rule := range input.Rules {
			chain := rule.JumpsTo()
			services := e.bannedFrom(r.Family, rule)
			if !strings.HasPrefix(chain, fail2banChain) || forwardsTo(r, chain) || len(services) == 0 {
				continue
			}
			found = append(found, Finding{
				Severity: Risk, What: fmt.Sprintf("%v: fail2ban bans in INPUT only, which connections of %s never meet: -A INPUT %s", r.Family, text.Few(services), rule.Text),
				Fix: fmt.Sprintf("%s -I FORWARD -j %s # until fail2ban starts again; for good: chain = FORWARD in its jail", rules.Program(r.Family, r.Variant, ""), chain),
			})
		}
	}
	return found
}

// forwardsTo tells whether FORWARD has a jump to a chain.
func forwardsTo(r rules.Ruleset, chain string) bool {
	forward, _ := r.Chain("filter", rules.Forward)
	return slices.ContainsFunc(forward.Rules, func(rule rules.SavedRule) bool { return rule.JumpsTo() == chain })
}

// bannedFrom returns the services of a family to whose ports a rule of INPUT applies, by what
// clients ask for.
func (e examination) bannedFrom(family rules.Family, rule rules.SavedRule) []string {
	var names []string
	for _, service := range e.Services {
		if familyOf(service) == family && asksAny(service, rule) {
			names = append(names, service.Name)
		}
	}
	return names
}

// asksAny tells whether a rule may match what clients ask of a service.
func asksAny(service config.Service, rule rules.SavedRule) bool {
	for _, listen := range service.Listen {
		for _, protocol := range service.Protocols {
			if rule.MayTakePort(string(protocol), rules.Ports{First: listen.Ports.First, Last: listen.Ports.Last}) {
				return true
			}
		}
	}
	return false
}
