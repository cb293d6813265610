package restore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"natspread/nat"
)

// Kernel is the live nat tables of the network namespace that its programs run
// in, by one variant of iptables.
type Kernel struct {
	Run     Runner
	Variant Variant // NFT or Legacy
}

// lockWait is the option of iptables-restore that waits for its own lock: five
// seconds, as two words. Without it the legacy variant waits for ever.
var lockWait = []string{"-w", "5"}

// program returns the absolute path of one of the variant's programs.
func (k Kernel) program(ctx context.Context, family nat.Family, verb string) (string, error) {
	name := programName(family, k.Variant, verb)
	if path := findProgram("/", name); path != "" {
		return path, nil
	}
	// A host with one variant only may have it under the plain name.
	if plain := findProgram("/", programName(family, "", verb)); plain != "" {
		variant, err := DetectVariant(ctx, k.Run)
		if err == nil && variant == k.Variant {
			return plain, nil
		}
	}
	return "", fmt.Errorf("cannot find %s in %s: %w: install iptables, or choose another --variant",
		name, strings.Join(programDirs, ", "), ErrMissing)
}

// Save returns the live nat table of a family, with counters.
func (k Kernel) Save(ctx context.Context, family nat.Family) (nat.Saved, error) {
	text, err := k.saveText(ctx, family)
	if err != nil {
		return nat.Saved{}, err
	}
	saved, err := nat.ParseSaved(text)
	if err != nil {
		return nat.Saved{}, fmt.Errorf("cannot read the nat table: %s: %w", programName(family, k.Variant, "save"), err)
	}
	return saved, nil
}

// saveText returns that table as iptables-save prints it, with counters.
func (k Kernel) saveText(ctx context.Context, family nat.Family) ([]byte, error) {
	path, err := k.program(ctx, family, "save")
	if err != nil {
		return nil, err
	}
	text, err := k.Run(ctx, nil, path, "-t", "nat", "-c")
	if err != nil {
		return nil, fmt.Errorf("cannot read the nat table: %w", err)
	}
	return text, nil
}

// restore hands a text to iptables-restore.
func (k Kernel) restore(ctx context.Context, family nat.Family, text []byte, args ...string) error {
	path, err := k.program(ctx, family, "restore")
	if err != nil {
		return err
	}
	_, err = k.Run(ctx, text, path, append(args, lockWait...)...)
	return err
}

// Differences tells, a line each, how natspread's part of a live table differs
// from what it should be: own chains that are missing, changed or left over, and
// jumps that are missing, changed or doubled. None means in step.
func Differences(saved nat.Saved, table nat.Table) []string {
	var differences []string
	for _, builtIn := range nat.BuiltIn() {
		if how := jumpDifference(saved.Jumps(builtIn), table.Jumps(builtIn)); how != "" {
			differences = append(differences, fmt.Sprintf("%v: the jump in %s is %s", table.Family, builtIn, how))
		}
	}
	live := saved.OwnChains()
	for _, chain := range live {
		want, found := table.Chain(chain.Name)
		switch {
		case !found:
			differences = append(differences, fmt.Sprintf("%v: chain %s is left over", table.Family, chain.Name))
		case !sameRules(chain.Rules, want.Rules):
			differences = append(differences, fmt.Sprintf("%v: chain %s is changed", table.Family, chain.Name))
		}
	}
	for _, name := range missing(live, table) {
		differences = append(differences, fmt.Sprintf("%v: chain %s is missing", table.Family, name))
	}
	return differences
}

// jumpDifference says in a word what is wrong with the jumps of a built-in chain,
// "" when nothing is.
func jumpDifference(live []nat.SavedRule, want []nat.Rule) string {
	switch {
	case sameRules(live, want):
		return ""
	case len(live) == 0:
		return "missing"
	case len(want) == 0:
		return "left over"
	case len(live) > len(want):
		return "doubled"
	}
	return "changed"
}

// missing returns the names of the table's chains that the kernel does not hold.
func missing(live []nat.SavedChain, table nat.Table) []string {
	held := make(map[string]bool, len(live))
	for _, chain := range live {
		held[chain.Name] = true
	}
	var names []string
	for _, chain := range table.Chains {
		if !held[chain.Name] {
			names = append(names, chain.Name)
		}
	}
	return names
}

// sameRules tells whether the kernel's text of rules is that of the rules wanted.
func sameRules(live []nat.SavedRule, want []nat.Rule) bool {
	if len(live) != len(want) {
		return false
	}
	var text []byte
	for i, rule := range want {
		text = rule.AppendText(text[:0])
		if string(text) != live[i].Text {
			return false
		}
	}
	return true
}

// mayHold tells whether the variant has a table of that name, without which it holds
// nothing. To ask iptables-legacy-save itself would create it, and load its modules;
// the nft variant creates nothing when asked.
func (k Kernel) mayHold(family nat.Family, table string) bool {
	if k.Variant != Legacy {
		return true
	}
	names := "/proc/net/ip_tables_names"
	if family == nat.IPv6 {
		names = "/proc/net/ip6_tables_names"
	}
	tables, err := os.ReadFile(names)
	if err != nil {
		return !notExist(err) // without the module there is no file
	}
	return slices.Contains(strings.Fields(string(tables)), table)
}
