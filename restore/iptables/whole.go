package iptables

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// shownWhole is an error unless what iptables-save printed of a family's nat table has all
// that others have there, so that it can be loaded again. Of rules that nft made it may print
// less than they ask for, or something else, with exit code 0: so it is loaded in a scratch
// namespace, and the kernel's own form of each rule is compared.
func (k Kernel) shownWhole(ctx context.Context, family rules.Family, text []byte, saved rules.Saved) error {
	if k.Variant != rules.NFT {
		return nil // the kernel holds what iptables-legacy gave it
	}
	held, err := foreignRules(family, saved)
	if err != nil {
		return err
	}
	var again map[string][]nftables.Rule
	err = inScratchNamespace(func() error {
		if err := k.restore(ctx, family, loadable(text)); err != nil {
			return err
		}
		again, err = foreignRules(family, saved)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot tell whether iptables shows all of the %v nat table: %w", family, err)
	}
	for _, chain := range saved.Chains {
		place := 0 // of the next one in the scratch namespace
		for i, rule := range held[chain.Name] {
			if i >= len(chain.Rules) {
				return errForeignChanged
			}
			whole := isShown(rule)
			if whole && !bound(chain.Rules[i].Text) {
				whole = place < len(again[chain.Name]) && sameRule(rule, again[chain.Name][place])
				place++
			}
			if !whole {
				return partlyShown(family, chain.Name, i, chain.Rules[i].Text, rule)
			}
		}
	}
	return onlyShown(family, saved)
}

// onlyShown is an error where the nat table has a chain, a set or a map that iptables-save does
// not show: iptables-nft-restore makes the table anew, and so it would take them along.
func onlyShown(family rules.Family, saved rules.Saved) error {
	chains, err := nftables.ChainsOf(family)
	if err != nil {
		return fmt.Errorf("cannot list the chains of nftables: %w", err)
	}
	sets, err := nftables.Sets(family)
	if err != nil {
		return fmt.Errorf("cannot list the sets of nftables: %w", err)
	}
	for _, c := range chains {
		shown := func(chain rules.SavedChain) bool { return chain.Name == c.Name }
		if c.Table == saved.Name.String() && !slices.ContainsFunc(saved.Chains, shown) {
			return hidden(family, saved.Name, "chain", c.Name)
		}
	}
	for _, set := range sets {
		if set.Table == saved.Name.String() {
			return hidden(family, saved.Name, set.Kind, set.Name)
		}
	}
	return nil
}

// hidden says what iptables does not show, and what to do about it.
func hidden(family rules.Family, table rules.TableName, kind, name string) error {
	object := fmt.Sprintf("%s %s %v %s", kind, family.NFTWord(), table, name)
	return fmt.Errorf("iptables does not show the %s %s of the %v %v table, so it could not be put back: "+
		"keep it by nft list %s, take it out by nft delete %s, and apply again", kind, name, family, table, object, object)
}

// partlyShown says which rule could not be put back, and what to do about it.
func partlyShown(family rules.Family, chain string, i int, text string, rule nftables.Rule) error {
	table := family.NFTWord() + " nat"
	return fmt.Errorf("iptables shows only a part of rule %d of chain %s in the %v nat table (-A %s %s), so it could not be put back: "+
		"keep it by nft list chain %s %s, take it out by nft delete rule %s %s handle %d, and apply again",
		i+1, chain, family, chain, text, table, chain, table, chain, rule.Handle)
}

// foreignRules returns the rules of others as the kernel holds them, by chain.
func foreignRules(family rules.Family, saved rules.Saved) (map[string][]nftables.Rule, error) {
	all := map[string][]nftables.Rule{}
	for _, chain := range saved.Chains {
		if rules.IsOwn(chain.Name) || len(chain.Rules) == 0 {
			continue
		}
		var err error
		if all[chain.Name], err = nftables.Rules(family, rules.NAT.String(), chain.Name); err != nil {
			return nil, fmt.Errorf("cannot read chain %s: %w", chain.Name, err)
		}
	}
	return all, nil
}

// loadable returns a saved table without the rules of natspread's chains, and without those
// that only this network namespace can hold.
func loadable(text []byte) []byte {
	var left []byte
	for line := range strings.Lines(string(text)) {
		_, rule, _ := strings.Cut(line, "-A ")
		chain, _, _ := strings.Cut(rule, " ")
		if !rules.IsOwn(chain) && !bound(line) {
			left = append(left, line...)
		}
	}
	return left
}

// bound tells whether a rule needs something that is in its network namespace only: a set of
// ipset's, a helper or timeouts of conntrack, an account, a pinned program.
func bound(rule string) bool {
	return slices.ContainsFunc([]string{" --match-set ", " -j SET ", " --helper ", " --timeout ", " --nfacct-name ", " --object-pinned ", " --path "},
		func(option string) bool { return strings.Contains(rule, option) })
}

// sameRule tells whether the kernel runs the same for two rules. How often one was met does not
// count.
func sameRule(r, other nftables.Rule) bool {
	return slices.EqualFunc(r.Expressions, other.Expressions, func(a, b nftables.Expression) bool {
		return a == b || a.Name == b.Name && slices.Contains([]string{"counter", "last", "quota"}, a.Name)
	})
}
