package iptables

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// ownLines are the lines of natspread's part of a saved table.
var ownLines = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|.* -j NATSPREAD-).*)\n`)

// blindSave returns a Runner for which a program of that name does not show some lines so many
// times, as iptables-nft-save does, with exit code 0, when the kernel does not give it the chains,
// or the rules of one.
func blindSave(name string, lines *regexp.Regexp, times int) program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, path string, args ...string) ([]byte, error) {
		out, err := run(ctx, stdin, path, args...)
		if filepath.Base(path) == name && times > 0 {
			times--
			out = lines.ReplaceAll(out, nil)
		}
		return out, err
	}
}

// TestSaveShowsLess reads a table anew that is shown without chains which are there, and if
// that does not help, fails: nothing is taken for stopped, loaded or not in use.
func TestSaveShowsLess(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return // iptables-legacy-save fails where it gets no table
		}
		good := Kernel{Run: program.Exec(), Variant: variant}
		want := hosttest.Tables(t, hosttest.Clamped(hosttest.Accepted(hosttest.Article)))
		_, err := loadTables(t, good, want)
		hosttest.Must(t, err)
		before := hosttest.Everything(t, variant)
		for _, table := range want.All() {
			name := rules.Program(table.Family, variant, "save")
			always, twice := Kernel{Run: blindSave(name, ownLines, 100), Variant: variant, Until: good.Until}, Kernel{Run: blindSave(name, ownLines, 2), Variant: variant, Until: good.Until}
			if saved, err := always.Save(t.Context(), table); !errors.Is(err, errShowsLess) ||
				!strings.HasPrefix(err.Error(), fmt.Sprintf("cannot read the %v table: %s: ", table.Name, name)) {
				t.Errorf("%s: %d chains, %v", table.String(), len(saved.Chains), err)
			}
			saved, err := twice.Save(t.Context(), table)
			hosttest.Must(t, err)
			hosttest.Must(t, Compare(saved, table))
			nothing := rules.Table{Family: table.Family, Name: table.Name}
			if _, err := always.Read(t.Context(), nothing); !errors.Is(err, errShowsLess) {
				t.Errorf("%s, where nothing is wanted: %v", table.String(), err)
			}
		}
		for _, f := range rules.Families() {
			kernel := Kernel{Run: blindSave(rules.Program(f, variant, "save"), ownLines, 100), Variant: variant, Until: good.Until}
			if used, err := kernel.InUse(t.Context()); err == nil && !used {
				t.Errorf("%v: it is taken for not in use", f)
			}
			if _, err := kernel.Snapshots(t.Context(), rules.NoTables()); !errors.Is(err, errShowsLess) {
				t.Errorf("%v: %v", f, err)
			}
			if cleared, err := kernel.Clear(t.Context()); f == rules.IPv4 && cleared || !errors.Is(err, errShowsLess) {
				t.Errorf("%v: cleared %v, %v", f, cleared, err)
			}
			if f == rules.IPv4 {
				hosttest.WantSame(t, "everything", before, hosttest.Everything(t, variant))
			}
		}
	})
}

// TestSaveShowsNoRules reads a table anew that is shown without the rules of a chain, and if that does
// not help, fails: a jump that is there is not taken for missing, nor a chain for empty.
func TestSaveShowsNoRules(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return // iptables-legacy-save fails where it gets no table
		}
		good := Kernel{Run: program.Exec(), Variant: variant}
		want := hosttest.Tables(t, hosttest.Clamped(hosttest.Accepted(hosttest.Article)))
		_, err := loadTables(t, good, want)
		hosttest.Must(t, err)
		for _, table := range want.All() {
			if table.Empty() {
				continue
			}
			saved, err := good.Save(t.Context(), table)
			hosttest.Must(t, err)
			hidden := 0
			for _, chain := range saved.Chains {
				if len(chain.Rules) == 0 {
					continue
				}
				hidden++
				lines := regexp.MustCompile(`(?m)^(\[\d+:\d+\] )?-A ` + chain.Name + ` .*\n`)
				blind := func(times int) Kernel {
					return Kernel{Run: blindSave(rules.Program(table.Family, variant, "save"), lines, times), Variant: variant}
				}
				if _, err := blind(100).Save(t.Context(), table); !errors.Is(err, errShowsLess) || !strings.HasSuffix(err.Error(), " rules of "+chain.Name) {
					t.Errorf("%s without the rules of %s: %v", table.String(), chain.Name, err)
				}
				if saved, err := blind(2).Save(t.Context(), table); err != nil || Compare(saved, table) != nil {
					t.Errorf("%s, shown in the end: %v, %v", table.String(), err, Compare(saved, table))
				}
			}
			if hidden < 2 {
				t.Errorf("%s has %d chains with rules only", table.String(), hidden)
			}
		}
	})
}

// TestForwardUnreadable cannot tell whether the legacy variant has a chain when its program
// fails for another reason than that there is none.
func TestForwardUnreadable(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.Legacy {
			return
		}
		kernel := Kernel{Run: program.Exec(), Variant: variant}
		for _, f := range rules.Families() {
			for _, table := range []rules.Table{{Family: f, Name: rules.Filter}, {Family: f, Name: rules.Mangle}} {
				want := func(want bool) {
					t.Helper()
					if held, err := kernel.holdsForward(t.Context(), table); held != want || err != nil {
						t.Errorf("%s: %v, %v; want %v", table.String(), held, err, want)
					}
				}
				entry := table.Name.EntryChains(rules.Forward)[0]
				want(false)
				hosttest.IPTablesOn(t, variant, f, table.Name, "-A FORWARD -p udp -j ACCEPT")
				want(false)
				hosttest.IPTablesOn(t, variant, f, table.Name, "-N "+entry)
				want(true)
				hosttest.IPTablesOn(t, variant, f, table.Name, "-A FORWARD -j "+entry)
				want(true)
			}
		}
		for _, said := range []string{"unable to initialize table 'filter'; Error occurred at line: 1", "line 2 failed", ""} {
			failing := Kernel{Variant: variant, Run: func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
				return nil, &program.Error{Name: name, Args: args, Code: 1, Stderr: said, Err: errors.New("exit status 1")}
			}}
			if held, err := failing.holdsForward(t.Context(), rules.Table{Name: rules.Filter}); held || err == nil || !strings.HasPrefix(err.Error(), "cannot read the filter table: ") {
				t.Errorf("%q: %v, %v", said, held, err)
			}
		}
	})
}

// TestClearFails says so when the other variant's rules may be there and cannot be read.
func TestClearFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		_, err := loadTables(t, Kernel{Run: program.Exec(), Variant: variant}, hosttest.Tables(t, hosttest.Article))
		hosttest.Must(t, err)
		for _, c := range []struct {
			fails error
			tells bool
		}{{unix.EIO, true}, {program.ErrMissing, variant == rules.NFT}, {program.ErrNoRights, variant == rules.NFT}} {
			kernel := Kernel{Variant: variant, Run: func(context.Context, []byte, string, ...string) ([]byte, error) { return nil, c.fails }}
			if cleared, err := kernel.Clear(t.Context()); cleared || (err != nil) != c.tells {
				t.Errorf("%v: cleared %v, %v", c.fails, cleared, err)
			}
		}
	})
}
