package rules

import "slices"

// Chain is a chain and its rules in order.
type Chain struct {
	Name  string
	Rules []Rule
}

// Equal tells whether two chains have the same name and the same rules. It looks at no rule
// where both have them at one place, as in tables of which one was made from the other.
func (c Chain) Equal(other Chain) bool {
	if c.Name != other.Name || len(c.Rules) != len(other.Rules) {
		return false
	}
	return len(c.Rules) == 0 || &c.Rules[0] == &other.Rules[0] || slices.Equal(c.Rules, other.Rules)
}

// AppendText appends the chain's rules, one "-A CHAIN …" line each.
func (c Chain) AppendText(b []byte) []byte {
	for _, rule := range c.Rules {
		b = append(append(b, "-A "...), c.Name...)
		b = append(rule.AppendText(append(b, ' ')), '\n')
	}
	return b
}
