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
