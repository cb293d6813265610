package network

import (
	"fmt"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// PolicyRule is a rule of ip-rule(8), which says whose packets a routing table is for.
type PolicyRule struct {
	Preference int    // the lowest comes first
	Mark       uint32 // fwmark; 0 for a rule that asks for none
	// Specific tells that it takes all packets to the main table, but for its default routes:
	// "lookup main suppress_prefixlength 0".
	Specific bool
}

// PolicyRules returns those of a family, in their order.
func (n Network) PolicyRules(family rules.Family) ([]PolicyRule, error) {
	if n.handle == nil {
		return nil, errUnread
	}
	listed, err := n.handle.RuleList(inFamily(family))
	if err != nil {
		return nil, fmt.Errorf("cannot list the rules of routing: %w", err)
	}
	list := make([]PolicyRule, len(listed))
	for i, r := range listed {
		list[i] = PolicyRule{
			Preference: max(0, r.Priority),
			Specific:   r.Table == unix.RT_TABLE_MAIN && r.SuppressPrefixlen == 0 && r.Src == nil && r.Dst == nil && r.Mark == 0 && r.IifName == "",
		}
		if !r.Invert { // all others' packets have no mark of its
			list[i].Mark = r.Mark
		}
	}
	return list, nil
}
