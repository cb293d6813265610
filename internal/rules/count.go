package rules

// Count is how many connections one rule in the chains of a service counted. In the nat table a
// rule meets each connection once.
type Count struct {
	Family   Family
	Service  string // its short name
	Protocol string // "" for a rule of any
	Target   Target
	Packets  uint64
}

// CountOf returns what a rule of one of natspread's chains counted; rule is its text in iptables-save.
// It is false for a rule that counted nothing, that leads to no backend of a service, or that
// natspread did not write.
func CountOf(family Family, chain, rule string, packets uint64) (Count, bool) {
	service := ServiceOf(chain)
	if service == "" || packets == 0 {
		return Count{}, false
	}
	parsed, err := ParseRule(rule)
	if err != nil || parsed.Leads().Kind != DNAT {
		return Count{}, false
	}
	return Count{family, service, parsed.Protocol, parsed.Leads(), packets}, true
}
