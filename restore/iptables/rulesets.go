package iptables

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/program"
	"natspread/internal/rules"
)

// Rulesets returns what each variant that the host has holds of each family. It makes
// no table that is not there: without -t, iptables-save prints only those that are.
// Beside those that could be read stand the reasons for the others.
func Rulesets(ctx context.Context, run program.Runner) ([]rules.Ruleset, error) {
	return readEach(run, "rules", func(k Kernel, family rules.Family) (rules.Ruleset, error) {
		path, err := k.path(ctx, family, "save")
		if err != nil {
			return rules.Ruleset{}, err
		}
		text, err := run(ctx, nil, path)
		if err != nil {
			return rules.Ruleset{}, err
		}
		return rules.ParseRuleset(family, k.Variant, text), nil
	})
}

// readEach reads something of each family by each variant that the host has. Beside what
// could be read stand the reasons for the rest.
func readEach(run program.Runner, what string, read func(Kernel, rules.Family) (rules.Ruleset, error)) (all []rules.Ruleset, err error) {
	var failed []error
	for _, variant := range []rules.Variant{rules.NFT, rules.Legacy} {
		for _, family := range rules.Families() {
			ruleset, err := read(Kernel{Run: run, Variant: variant}, family)
			switch {
			case errors.Is(err, program.ErrMissing):
			case err != nil:
				failed = append(failed, fmt.Errorf("cannot read the %v %s of the %s variant: %w", family, what, variant, err))
			default:
				all = append(all, ruleset)
			}
		}
	}
	return all, errors.Join(failed...)
}

// NativeRules returns all rules of nftables as nft(8) prints them, those that
// iptables-nft keeps there, too. It is nothing on a host without nft.
func NativeRules(ctx context.Context, run program.Runner) ([]byte, error) {
	path := program.Find("/", "nft")
	if path == "" {
		return nil, nil
	}
	text, err := run(ctx, nil, path, "--terse", "list", "ruleset")
	if err != nil {
		return nil, fmt.Errorf("cannot read the rules of nftables: %w", err)
	}
	return text, nil
}
