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
	var read []rules.Ruleset
	var failed []error
	for _, variant := range []rules.Variant{rules.NFT, rules.Legacy} {
		kernel := Kernel{Run: run, Variant: variant}
		for _, family := range rules.Families() {
			path, err := kernel.path(ctx, family, "save")
			if errors.Is(err, program.ErrMissing) {
				continue
			}
			var text []byte
			if err == nil {
				text, err = run(ctx, nil, path)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("cannot read the %v rules of the %s variant: %w", family, variant, err))
				continue
			}
			read = append(read, rules.ParseRuleset(family, variant, text))
		}
	}
	return read, errors.Join(failed...)
}

// NativeRules returns all rules of nftables as nft(8) prints them, those that
// iptables-nft keeps there, too. It is nothing on a host without nft.
func NativeRules(ctx context.Context, run program.Runner) ([]byte, error) {
	path := FindProgram("/", "nft")
	if path == "" {
		return nil, nil
	}
	text, err := run(ctx, nil, path, "--terse", "list", "ruleset")
	if err != nil {
		return nil, fmt.Errorf("cannot read the rules of nftables: %w", err)
	}
	return text, nil
}
