package iptables

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// ownLines are the lines of natspread's part of a saved table.
var ownLines = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|.* -j NATSPREAD-).*)\n`)

// blindSave returns a Runner for which a program of that name shows nothing of
// natspread's so many times, as iptables-nft-save does, with exit code 0, when the kernel
// does not give it the chains.
func blindSave(name string, times int) program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, path string, args ...string) ([]byte, error) {
		out, err := run(ctx, stdin, path, args...)
		if filepath.Base(path) == name && times > 0 {
			times--
			out = ownLines.ReplaceAll(out, nil)
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
		want := hosttest.Tables(t, hosttest.Accepted(hosttest.Article))
		_, err := loadTables(t, good, want)
		hosttest.Must(t, err)
		before := hosttest.Everything(t, variant)
		for _, table := range want.All() {
			name := rules.Program(table.Family, variant, "save")
			always, twice := Kernel{Run: blindSave(name, 100), Variant: variant, Until: good.Until}, Kernel{Run: blindSave(name, 2), Variant: variant, Until: good.Until}
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
			kernel := Kernel{Run: blindSave(rules.Program(f, variant, "save"), 100), Variant: variant, Until: good.Until}
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

// TestOwnChains lists natspread's chains of one table and family, however many there are and
// whatever is in them.
func TestOwnChains(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	want := func(family rules.Family, kind rules.TableName, want []string) {
		t.Helper()
		names, err := nftOwnChains(family, kind)
		slices.Sort(names)
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%v %v: %d chains, %v; want %d", family, kind, len(names), err, len(want))
		}
	}
	want(rules.IPv4, rules.NAT, nil)
	if tables := netnstest.Self().Command(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("the question made %s", tables)
	}
	var many []string
	text := "*nat\n"
	for i := range 500 { // more than fit into one message
		many = append(many, fmt.Sprintf("NATSPREAD-service%d", i))
		text += fmt.Sprintf(":%s - [0:0]\n:OTHER%d - [0:0]\n", many[i], i)
	}
	slices.Sort(many)
	hosttest.Put(t, rules.NFT, rules.IPv4, text+"COMMIT\n")
	hosttest.IPTablesOn(t, rules.NFT, rules.IPv4, rules.Filter, "-N NATSPREAD-FORWARD")
	hosttest.IPTablesOn(t, rules.NFT, rules.IPv6, rules.NAT, "-N NATSPREAD-six")
	netnstest.Self().Command(t, "", "nft", "add table ip natspread; add chain ip natspread NATSPREAD-PRE")
	netnstest.Self().Command(t, "", "nft", "add rule ip filter NATSPREAD-FORWARD ct mark 1 fib saddr type local drop")
	want(rules.IPv4, rules.NAT, many)
	want(rules.IPv4, rules.Filter, []string{"NATSPREAD-FORWARD"})
	want(rules.IPv6, rules.NAT, []string{"NATSPREAD-six"})
	want(rules.IPv6, rules.Filter, nil)
}

// TestDumpAnswer reads the messages of a list, and others, without a panic.
func TestDumpAnswer(t *testing.T) {
	with := func(message []byte, flags uint16, number int32) []byte {
		binary.NativeEndian.PutUint16(message[6:], flags)
		binary.NativeEndian.PutUint32(message[16:], uint32(number))
		return message
	}
	chain := generationMessage(nftType(unix.NFT_MSG_NEWCHAIN), append(attributeOf(1, 'n', 'a', 't', 0), attributeOf(3, 'A', 'B', 0)...)...)
	for what, c := range map[string]struct {
		message []byte
		done    bool
		want    error
	}{
		"a chain":         {chain, false, nil},
		"the end":         {generationMessage(unix.NLMSG_DONE), true, nil},
		"an end with EIO": {with(generationMessage(unix.NLMSG_DONE), 0, -int32(unix.EIO)), true, unix.EIO},
		"a changed list":  {with(bytes.Clone(chain), unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, 0), false, errDumpChanged},
		"a changed end":   {with(generationMessage(unix.NLMSG_DONE), unix.NLM_F_DUMP_INTR, 0), false, errDumpChanged},
		"no rights":       {with(generationMessage(unix.NLMSG_ERROR), 0, -int32(unix.EPERM)), false, program.ErrNoRights},
		"something else":  {generationMessage(nftType(unix.NFT_MSG_NEWTABLE)), false, errAnswer},
		"a header only":   {chain[:16], false, errAnswer},
		"an end, cut":     {generationMessage(unix.NLMSG_DONE)[:16], true, errAnswer},
		"an acknowledge":  {generationMessage(unix.NLMSG_ERROR), false, errAnswer},
	} {
		if done, err := dumpAnswer(c.message, unix.NFT_MSG_NEWCHAIN); done != c.done || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v; want %v, %v", what, done, err, c.done, c.want)
		}
	}
	if read := chainAnswer(chain); read.Table != "nat" || read.Name != "AB" {
		t.Errorf("%+v", read)
	}
	for end := range len(chain) {
		_ = chainAnswer(chain[:end])
	}
	two := slices.Concat(chain, generationMessage(unix.NLMSG_DONE))
	first, rest, err := cutMessage(two)
	if err != nil || !bytes.Equal(first, chain) || len(rest) != 20 {
		t.Errorf("%d and %d bytes, %v", len(first), len(rest), err)
	}
	for _, bad := range [][]byte{nil, two[:15], two[:len(chain)-1], make([]byte, 32)} {
		if _, _, err := cutMessage(bad); !errors.Is(err, errAnswer) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
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
			want := func(want bool) {
				t.Helper()
				if held, err := kernel.holdsForward(t.Context(), f); held != want || err != nil {
					t.Errorf("%v: %v, %v; want %v", f, held, err, want)
				}
			}
			want(false)
			hosttest.IPTablesOn(t, variant, f, rules.Filter, "-A FORWARD -p udp -j ACCEPT")
			want(false)
			hosttest.IPTablesOn(t, variant, f, rules.Filter, "-N NATSPREAD-FORWARD")
			want(true)
			hosttest.IPTablesOn(t, variant, f, rules.Filter, "-A FORWARD -j NATSPREAD-FORWARD")
			want(true)
		}
		for _, said := range []string{"unable to initialize table 'filter'; Error occurred at line: 1", "line 2 failed", ""} {
			failing := Kernel{Variant: variant, Run: func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
				return nil, &program.Error{Name: name, Args: args, Code: 1, Stderr: said, Err: errors.New("exit status 1")}
			}}
			if held, err := failing.holdsForward(t.Context(), rules.IPv4); held || err == nil || !strings.HasPrefix(err.Error(), "cannot read the filter table: ") {
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
