package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// Kernel is the live tables of the network namespace that its programs run in, by
// one variant of iptables.
type Kernel struct {
	Run     program.Runner
	Variant rules.Variant // NFT or Legacy
	// Until is how long iptables' own lock is waited for, which only the legacy variant
	// takes. Each program that needs it waits for five seconds at least.
	Until time.Time
	// Counting, if it is set, is told what rules of services counted, before they are taken out.
	// It returns a function that is called after that, and told whether they are gone.
	Counting func([]rules.Count) (done func(gone bool))
}

// lockWait is the option of iptables-restore that waits for its own lock: five
// seconds, as two words. Without it the legacy variant waits for ever.
var lockWait = []string{"-w", "5"}

// lockPause is after how long a program is run again that found the lock held.
const lockPause = 100 * time.Millisecond

// program returns the absolute path of one of the variant's programs, if this process has
// the rights that it takes to work on a table.
func (k Kernel) program(ctx context.Context, family rules.Family, verb string) (string, error) {
	if err := k.rights(); err != nil {
		return "", err
	}
	return k.path(ctx, family, verb)
}

// path returns the absolute path of one of the variant's programs.
func (k Kernel) path(ctx context.Context, family rules.Family, verb string) (string, error) {
	name := rules.Program(family, k.Variant, verb)
	if path := program.Find("/", name); path != "" {
		return path, nil
	}
	// A host with one variant only may have it under the plain name.
	if plain := program.Find("/", rules.Program(family, "", verb)); plain != "" {
		variant, err := DetectVariant(ctx, k.Run)
		if err == nil && variant == k.Variant {
			return plain, nil
		}
	}
	return "", fmt.Errorf("cannot find %s in %s: %w: install iptables, or choose another --variant",
		name, strings.Join(program.Dirs(), ", "), program.ErrMissing)
}

// Save returns the live table of a table's family and name, with counters.
func (k Kernel) Save(ctx context.Context, table rules.Table) (rules.Saved, error) {
	_, saved, err := k.save(ctx, table)
	return saved, err
}

// saveTries bounds how often a table is read anew that is shown with less than it has:
// somebody may just have added to it.
const saveTries = 3

// save is Save with the text as iptables-save printed it.
func (k Kernel) save(ctx context.Context, table rules.Table) (text []byte, saved rules.Saved, err error) {
	err = k.saveShown(ctx, table, func(printed []byte) (_ rules.Saved, own []string, err error) {
		text = printed
		saved, err = rules.ParseSaved(table.Name, text)
		return saved, namesOf(saved.OwnChains()), err
	}, "-c")
	return text, saved, err
}

// saveAs is Save without counters, and tells whether natspread's part of the table is the state
// that is wanted, with each jump in its place. Where its bytes are the same, they are not parsed:
// saved is then only what others have in the table.
func (k Kernel) saveAs(ctx context.Context, table rules.Table, want ownedState) (saved rules.Saved, same bool, err error) {
	err = k.saveShown(ctx, table, func(text []byte) (_ rules.Saved, own []string, err error) {
		if others, cut := rules.CutOwn(text, want.order, want.chains); cut {
			saved, err = rules.ParseSaved(table.Name, others)
			if same = err == nil && want.hasJumps(saved); same {
				return saved, want.order, nil
			}
		}
		saved, err = rules.ParseSaved(table.Name, text)
		same = err == nil && transaction(stateOfSaved(saved), want) == nil
		return saved, namesOf(saved.OwnChains()), err
	})
	return saved, same, err
}

// saveShown gives what iptables-save prints of a live table, with some options, to read, which
// returns what it read and the names of natspread's chains in it. Where the kernel has more, both are
// done again.
func (k Kernel) saveShown(ctx context.Context, table rules.Table, read func(text []byte) (saved rules.Saved, own []string, err error), options ...string) error {
	for try := 1; ; try++ {
		text, err := k.saveText(ctx, table, options)
		if err != nil {
			return err
		}
		saved, own, err := read(text)
		if errors.Is(err, rules.ErrNoTable) && bytes.Contains(text, []byte("is incompatible")) {
			return fmt.Errorf("cannot read the %v table: %w", table.Name, nativeIn(table.Family, table.Name))
		}
		if err == nil {
			err = k.showsAll(table, saved, own)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, errShowsLess) || try == saveTries {
			return fmt.Errorf("cannot read the %v table: %s: %w", table.Name, rules.Program(table.Family, k.Variant, "save"), err)
		}
	}
}

// namesOf returns the names of chains.
func namesOf(chains []rules.SavedChain) []string {
	names := make([]string, len(chains))
	for i, chain := range chains {
		names[i] = chain.Name
	}
	return names
}

// errShowsLess says that iptables-save does not show all of a table that natspread goes by.
var errShowsLess = errors.New("it does not show all that is there")

// showsAll is an error unless every chain of natspread's that is in a table is among those that
// were shown, and all rules of the built-in chains that have its jumps. To iptables-nft-save, with
// exit code 0, chains that it cannot get from the kernel are none, and so are the rules of a chain:
// a table without chains is one from which nothing has to be taken out, and a chain without rules
// one that lacks its jump.
func (k Kernel) showsAll(table rules.Table, saved rules.Saved, own []string) error {
	if k.Variant != rules.NFT {
		return nil
	}
	held, err := nftables.OwnChains(table.Family, table.Name)
	if err != nil {
		return fmt.Errorf("cannot list its chains: %w", err)
	}
	shown := make(map[string]bool, len(own))
	for _, name := range own {
		shown[name] = true
	}
	for _, name := range held {
		if !shown[name] {
			return fmt.Errorf("%w: the chain %s", errShowsLess, name)
		}
	}
	doubtful := slices.DeleteFunc(table.Name.BuiltIn(), func(name string) bool { return len(table.Name.EntryChains(name)) == 0 })
	for _, chain := range saved.Chains {
		if rules.IsOwn(chain.Name) && len(chain.Rules) == 0 {
			doubtful = append(doubtful, chain.Name)
		}
	}
	for _, name := range doubtful {
		chain, _ := saved.Chain(name)
		count, err := nftables.RuleCount(table.Family, table.Name.String(), name)
		if err != nil {
			return fmt.Errorf("cannot count the rules of %s: %w", name, err)
		}
		if count != len(chain.Rules) {
			return fmt.Errorf("%w: %d of %d rules of %s", errShowsLess, len(chain.Rules), count, name)
		}
	}
	return nil
}

// nativeIn is errNative with the first rule that may be the one, and the line that takes it out.
func nativeIn(family rules.Family, name rules.TableName) error {
	unnamed := fmt.Errorf("%w: give them a table of their own: nft list ruleset", errNative)
	chains, err := nftables.ChainsOf(family)
	if err != nil {
		return unnamed
	}
	for _, c := range chains {
		if c.Table != name.String() || rules.IsOwn(c.Name) || c.Hooked && !isBuiltIn(c) {
			continue
		}
		all, _ := nftables.Rules(family, c.Table, c.Name) // without them it is not named
		for i, rule := range all {
			if !isShown(rule) {
				at := fmt.Sprintf("%s %s %s", c.Family, c.Table, c.Name)
				return fmt.Errorf("%w, as rule %d of chain %s (nft -a list chain %s): give them a table of their own: nft delete rule %s handle %d", errNative, i+1, c.Name, at, at, rule.Handle)
			}
		}
	}
	return unnamed
}

// errNative is what iptables-nft-save says in a comment only, with exit code 0.
var errNative = errors.New("it holds rules of nft's own, which iptables cannot read")

// saveText returns that table as iptables-save prints it.
func (k Kernel) saveText(ctx context.Context, table rules.Table, options []string) ([]byte, error) {
	path, err := k.program(ctx, table.Family, "save")
	if err != nil {
		return nil, err
	}
	text, err := k.Run(ctx, nil, path, append([]string{"-t", table.Name.String()}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the %v table: %w", table.Name, err)
	}
	return text, nil
}

// Read saves the live table of a wanted one's family and name, for comparison with it.
// A table that does not exist yet is an empty one, and a host without IPv6 programs is
// no error for a config without IPv6 services. A filter or mangle table in which we want
// nothing and have nothing is not read: it is all others', may be large, and may be one that
// iptables cannot read.
func (k Kernel) Read(ctx context.Context, table rules.Table) (rules.Saved, error) {
	nothing := rules.Saved{Name: table.Name}
	if !k.mayHold(table.Family, table.Name) {
		return nothing, nil
	}
	if table.Name != rules.NAT && table.Empty() {
		if held, err := k.holdsForward(ctx, table); err != nil || !held {
			return nothing, err
		}
	}
	saved, err := k.Save(ctx, table)
	if table.Family == rules.IPv6 && table.Empty() && errors.Is(err, program.ErrMissing) {
		return nothing, nil
	}
	return saved, err
}

// holdsForward tells whether a live table has the chain of ours that its first jump in FORWARD
// leads to, in the same time however large the table is, and changes nothing. By nft the
// kernel is asked itself: to iptables a chain that it cannot read is like none.
func (k Kernel) holdsForward(ctx context.Context, table rules.Table) (held bool, err error) {
	entry := table.Name.EntryChains(rules.Forward)[0]
	if k.Variant == rules.NFT {
		held, err = nftables.HasChain(table.Family, table.Name, entry)
	} else {
		held, err = k.lists(ctx, table, entry)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the %v table: %w", table.Name, err)
	}
	return held, nil
}

// lists tells whether iptables-restore finds a chain in a table with FORWARD. That it does not
// is its own refusal, without a reason, in the line that names the chain. All else is no
// answer: the line before it asks for a chain that is there.
func (k Kernel) lists(ctx context.Context, table rules.Table, chain string) (bool, error) {
	path, err := k.program(ctx, table.Family, "restore")
	if errors.Is(err, program.ErrMissing) {
		return false, nil // and what cannot be loaded is not there
	}
	if err != nil {
		return false, err
	}
	_, err = k.list(ctx, path, fmt.Appendf(begin(table.Name), "-S %s 1\n-S %s\nCOMMIT\n", rules.Forward, chain))
	var failed *program.Error
	if errors.As(err, &failed) && failed.Code > 0 && strings.Contains(failed.Stderr, "line 3 failed") {
		return false, nil
	}
	return err == nil, err
}

// restore hands a text to iptables-restore.
func (k Kernel) restore(ctx context.Context, family rules.Family, text []byte, args ...string) error {
	path, err := k.program(ctx, family, "restore")
	if err != nil {
		return err
	}
	_, err = k.runLocked(ctx, text, path, args...)
	return err
}

// list hands iptables-restore a text that lists, and changes nothing.
func (k Kernel) list(ctx context.Context, path string, text []byte) ([]byte, error) {
	return k.runLocked(ctx, text, path, "-n")
}

// runLocked runs an iptables-restore that takes iptables' lock. One that did not get it has
// done nothing, and is run again until k.Until: to wait for longer at once would be longer
// than a program may run.
func (k Kernel) runLocked(ctx context.Context, text []byte, path string, args ...string) ([]byte, error) {
	for {
		out, err := k.Run(ctx, text, path, append(args, lockWait...)...)
		if !errors.Is(err, program.ErrBusy) || !time.Now().Before(k.Until) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, err
		case <-time.After(lockPause):
		}
	}
}

// mayHold tells whether the variant has a table of that name, without which it holds
// nothing. To ask iptables-legacy-save itself would create it, and load its modules; the nft
// variant creates nothing when asked, but the kernel answers in a hundredth of the time.
func (k Kernel) mayHold(family rules.Family, name rules.TableName) bool {
	if k.Variant == rules.Legacy {
		return k.hasTable(family, name.String())
	}
	_, held, err := nftables.TableOf(family, name)
	return held || err != nil
}

// hasTable tells whether iptables-legacy has a table.
func (k Kernel) hasTable(family rules.Family, name string) bool {
	names := "/proc/net/ip_tables_names"
	if family == rules.IPv6 {
		names = "/proc/net/ip6_tables_names"
	}
	tables, err := os.ReadFile(names)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // without the module there is no file
	}
	return slices.Contains(strings.Fields(string(tables)), name)
}

// InUse tells whether packets meet rules of natspread's, in either family.
func (k Kernel) InUse(ctx context.Context) (bool, error) {
	for _, family := range rules.Families() {
		saved, err := k.Read(ctx, rules.Table{Family: family})
		if err != nil || HasJump(saved) {
			return err == nil, err
		}
	}
	return false, nil
}

// HasForeignRules tells whether the nat table of either family has rules that are
// not ours, which keep connection tracking switched on.
func (k Kernel) HasForeignRules(ctx context.Context) bool {
	for _, family := range rules.Families() {
		saved, err := k.Read(ctx, rules.Table{Family: family})
		if err == nil && ForeignRules(saved) > 0 {
			return true
		}
	}
	return false
}
