package render

import (
	"natspread/internal/config"
	"natspread/internal/rules"
)

// lead returns the target that leads to a backend what was asked of a listen address. What stays where
// it is gets an accept with the address, of which stayed makes a rule: an accept ends the walk, so no
// rule of others behind the jump takes it. A backend that is one of several listen addresses gets DNAT,
// by which the kernel leaves what was asked there as it is, too.
func (p *selector) lead(listen config.Listen, backend config.Backend) rules.Target {
	if p.of.Stays(listen, backend) {
		return rules.Target{Kind: rules.Accept, Address: backend.Addr}
	}
	return dnat(listen, backend)
}

// stayed makes the address of each accept the condition of its rule. All that gets there was asked of
// that address; the condition tells whoever reads the rule which backend it leads to.
func stayed(chains []rules.Chain) []rules.Chain {
	for _, chain := range chains {
		for i := range chain.Rules {
			if rule := &chain.Rules[i]; rule.Target.Kind == rules.Accept {
				rule.Destination, rule.Target = host(rule.Target.Address), rules.Target{Kind: rules.Accept}
			}
		}
	}
	return chains
}
