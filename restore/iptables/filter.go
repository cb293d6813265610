package iptables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"natspread/internal/program"
	"natspread/internal/rules"
)

// Filters returns the filter table of each family by each variant that the host has, where
// there is one. Beside those that could be read stand the reasons for the others. It makes
// no table, and takes as long as that table is large: iptables-nft-save reads the rules of
// every table before it prints one.
func Filters(ctx context.Context, run program.Runner) (all []rules.Ruleset, err error) {
	var failed []error
	for _, variant := range []rules.Variant{rules.NFT, rules.Legacy} {
		for _, family := range rules.Families() {
			filter, err := Kernel{Run: run, Variant: variant}.filter(ctx, family)
			switch {
			case errors.Is(err, program.ErrMissing):
			case err != nil:
				failed = append(failed, fmt.Errorf("cannot read the %v filter table of the %s variant: %w", family, variant, err))
			default:
				all = append(all, filter)
			}
		}
	}
	return all, errors.Join(failed...)
}

// filter returns a family's filter table; one that does not exist has no chains.
func (k Kernel) filter(ctx context.Context, family rules.Family) (rules.Ruleset, error) {
	path, err := k.path(ctx, family, "restore")
	if err != nil {
		return rules.Ruleset{}, err
	}
	if k.Variant == rules.Legacy && !k.hasTable(family, rules.Filter.String()) {
		return rules.ParseRuleset(family, k.Variant, nil), nil
	}
	if err := k.rights(); err != nil {
		return rules.Ruleset{}, err
	}
	listed, err := k.list(ctx, path, []byte("*filter\n-S\nCOMMIT\n"))
	if err != nil {
		return rules.Ruleset{}, err
	}
	return rules.ParseRuleset(family, k.Variant, savedForm(rules.Filter, string(listed), savedLine)), nil
}

// savedForm turns what iptables -S lists into what iptables-save prints, by savedLine, or by
// countedLine for what -v -S lists.
func savedForm(name rules.TableName, listed string, form func(line string) string) []byte {
	saved := begin(name)
	for line := range strings.Lines(listed) {
		saved = append(saved, form(line)...)
	}
	return append(saved, "COMMIT\n"...)
}

// savedLine is savedForm for one line.
func savedLine(line string) string {
	command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch command {
	case "-P":
		return ":" + rest + " [0:0]\n"
	case "-N":
		return ":" + rest + " - [0:0]\n"
	}
	return line
}

// countedLine is savedLine for a line of -v -S, which has "-c PACKETS BYTES": behind the policy
// of a chain, or before the target of a rule.
func countedLine(line string) string {
	line = strings.TrimSuffix(line, "\n")
	at := strings.LastIndex(line, " -c ")
	words := strings.SplitN(line[max(at, 0):], " ", 5)
	if at < 0 || len(words) < 4 {
		return savedLine(line + "\n")
	}
	counters, rest := "["+words[2]+":"+words[3]+"]", line[:at]
	if chain, policy := strings.CutPrefix(rest, "-P "); policy {
		return ":" + chain + " " + counters + "\n"
	}
	if len(words) == 5 {
		rest += " " + words[4]
	}
	return counters + " " + rest + "\n"
}
