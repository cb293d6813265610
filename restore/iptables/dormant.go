package iptables

import (
	"fmt"

	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// Dormant is a nat table of which the kernel runs nothing, as somebody made it dormant by
// nft. No program of iptables shows that, or changes it.
type Dormant struct {
	Family rules.Family
	table  string // in nft's words
}

// String says so.
func (d Dormant) String() string {
	return fmt.Sprintf("%v: the nftables table %s is dormant: the kernel runs none of its rules, so nothing is balanced", d.Family, d.table)
}

// Fix is the line that wakes it: a table that is added again without flags loses those that
// it had.
func (d Dormant) Fix() string { return "nft add table " + d.table }

// Dormant returns the nat tables of some families that are dormant: the kernel runs nothing of
// them, and iptables-save shows no sign of that. Those of the legacy variant never are.
func (k Kernel) Dormant(families ...rules.Family) ([]Dormant, error) {
	var dormant []Dormant
	if k.Variant != rules.NFT {
		return nil, nil
	}
	for _, family := range families {
		table, _, err := nftables.TableOf(family, rules.NAT)
		if err != nil {
			return dormant, fmt.Errorf("cannot tell whether the %v nat table is dormant: %w", family, err)
		}
		if table.Dormant {
			dormant = append(dormant, Dormant{family, family.NFTWord() + " " + rules.NAT.String()})
		}
	}
	return dormant, nil
}
