package restore

import (
	"context"
	"errors"
	"fmt"
	"os"

	"natspread/internal/rules"
)

// Rulesets returns what each variant that the host has holds of each family. It makes
// no table that is not there: without -t, iptables-save prints only those that are.
// Beside those that could be read stand the reasons for the others.
func (h Host) Rulesets(ctx context.Context) ([]rules.Ruleset, error) {
	var read []rules.Ruleset
	var failed []error
	for _, variant := range []Variant{NFT, Legacy} {
		kernel := Kernel{Run: h.Run, Variant: variant}
		for _, family := range rules.Families() {
			path, err := kernel.program(ctx, family, "save")
			if errors.Is(err, ErrMissing) {
				continue
			}
			var text []byte
			if err == nil {
				text, err = h.Run(ctx, nil, path)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("cannot read the %v rules of the %s variant: %w", family, variant, err))
				continue
			}
			read = append(read, rules.ParseRuleset(family, string(variant), text))
		}
	}
	return read, errors.Join(failed...)
}

// Files returns where the files of a generation are, below the root, and the link
// that makes it current.
func (s Store) Files(number int) []string {
	files := []string{currentLink, dir(number) + "/" + manifestFile, dir(number) + "/" + configFile}
	for _, table := range rules.NoTables().All() {
		file := dir(number) + "/" + RulesFile(table)
		if _, err := os.Lstat(s.path(file)); table.Name == rules.NAT || err == nil {
			files = append(files, file)
		}
	}
	return files
}

// NativeRules returns all rules of nftables as nft(8) prints them, those that
// iptables-nft keeps there, too. It is nothing on a host without nft.
func (h Host) NativeRules(ctx context.Context) ([]byte, error) {
	path := findProgram("/", "nft")
	if path == "" {
		return nil, nil
	}
	text, err := h.Run(ctx, nil, path, "--terse", "list", "ruleset")
	if err != nil {
		return nil, fmt.Errorf("cannot read the rules of nftables: %w", err)
	}
	return text, nil
}
