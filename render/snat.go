package render

import (
	"natspread/internal/config"
	"natspread/internal/rules"
)

// masquerade returns the target that gives a packet the address of the interface by which it leaves.
func masquerade(service config.Service) rules.Target {
	return rules.Target{Kind: rules.Masquerade, Random: service.SNATPorts == config.RandomPorts}
}

// addressRules returns the rules that spread the connections of a service over its source
// addresses, each its part. A range in one rule is for more addresses than have a rule each: there
// one client always gets one address for a backend, also when that one's ports are all in use.
func addressRules(service config.Service) []rules.Rule {
	spread := service.SNAT.Spread()
	weights := make([]uint64, len(spread))
	for i, sources := range spread {
		weights[i] = uint64(len(sources.All()))
	}
	probabilities, _ := shares(weights, total(weights), interval{share: unit})
	list := make([]rules.Rule, len(spread))
	for i, sources := range spread {
		list[i].Statistic = probabilities[i]
		list[i].Target = rules.Target{Kind: rules.SNAT, Address: sources.First, Random: service.SNATPorts == config.RandomPorts}
		if sources.Last != sources.First {
			list[i].Target.Last = sources.Last
		}
	}
	return list
}
