package iptables

import (
	"fmt"

	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// Dormant is a table of which the kernel runs nothing, as somebody made it dormant by
// nft. No program of iptables shows that, or changes it.
type Dormant struct {
	Family rules.Family
	name   rules.TableName
}

// table returns it in nft's words.
func (d Dormant) table() string { return d.Family.NFTWord() + " " + d.name.String() }

// String says so.
func (d Dormant) String() string {
	what := "nothing is balanced"
	if d.name == rules.Mangle {
		what = "clamp_mss does nothing"
	}
	return fmt.Sprintf("%v: the nftables table %s is dormant: the kernel runs none of its rules, so %s", d.Family, d.table(), what)
}

// Fix is the line that wakes it: a table that is added again without flags loses those that
// it had.
func (d Dormant) Fix() string { return "nft add table " + d.table() }

// Dormant returns those of natspread's tables of some families that are dormant: the kernel runs
// nothing of them, and iptables-save shows no sign of that. Those of the legacy variant never are. In a
// filter table that is dormant nothing drops connections, so it needs no accepts.
func (k Kernel) Dormant(families ...rules.Family) ([]Dormant, error) {
	var dormant []Dormant
	if k.Variant != rules.NFT {
		return nil, nil
	}
	for _, family := range families {
		for _, name := range []rules.TableName{rules.NAT, rules.Mangle} {
			table, _, err := nftables.TableOf(family, name)
			if err != nil {
				return dormant, fmt.Errorf("cannot tell whether the %v %v table is dormant: %w", family, name, err)
			}
			ours := name == rules.NAT
			if table.Dormant && !ours {
				ours, err = nftables.HasChain(family, name, rules.ServiceMSS)
			}
			if table.Dormant && (ours || err != nil) {
				dormant = append(dormant, Dormant{family, name})
			}
		}
	}
	return dormant, nil
}
