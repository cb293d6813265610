package render

import (
	"natspread/internal/config"
	"natspread/internal/rules"
)

// byInterface returns a rule of PRE once for each interface of a service, which iptables takes one of
// for each rule, and as it is where the service names none.
func byInterface(rule rules.Rule, service config.Service) []rules.Rule {
	if len(service.Interfaces) == 0 {
		return []rules.Rule{rule}
	}
	list := make([]rules.Rule, len(service.Interfaces))
	for i, link := range service.Interfaces {
		list[i] = rule
		list[i].InInterface = link
	}
	return list
}
