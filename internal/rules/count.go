package rules

// Count is how many connections some rule of a service's chains counted: in the nat table a
// rule meets each connection once.
type Count struct {
	Family   Family
	Service  string
	Protocol string // "" for a rule of any
	Target   Target
	Packets  uint64
}

// CountOf returns what a rule of one of natspread's chains, as iptables-save prints it,
// counted; false for one that sends no connection to a backend of a service, and for one that
// natspread did not write.
func CountOf(family Family, chain, rule string, packets uint64) (Count, bool) {
	service := ServiceOf(chain)
	if service == "" || packets == 0 {
		return Count{}, false
	}
	parsed, err := ParseRule(rule)
	if err != nil || parsed.Target.Kind != DNAT {
		return Count{}, false
	}
	return Count{family, service, parsed.Protocol, parsed.Target, packets}, true
}
