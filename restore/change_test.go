package restore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// tape notes what is run: the last parts of the names, and for a transaction the
// chains that it declares.
type tape struct{ ran []string }

// recorder returns a Runner that runs programs and notes them; spoil may change what
// they print.
func (p *tape) recorder(spoil func(name, out string) string) program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		what := name[strings.LastIndex(name, "/")+1:]
		switch {
		case slices.Contains(args, "-n"):
			what += " lists"
		case slices.Contains(args, "--noflush"):
			what += " loads"
		case strings.HasSuffix(name, "-restore"):
			what += " proves"
		}
		p.ran = append(p.ran, what)
		out, err := run(ctx, stdin, name, args...)
		return []byte(spoil(what, string(out))), err
	}
}

// as returns what a program prints as it is.
func as(_, out string) string { return out }

// nearly is alone with another backend.
var nearly = strings.Replace(hosttest.Alone, "10.0.0.2:53", "10.0.0.9:53", 1)

// TestChangeCostsItsOwnChains changes one backend of one service: nothing but its chain
// is proven, loaded and read back, as long as nobody else touched nft's tables.
func TestChangeCostsItsOwnChains(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeign(t, variant)
		apply(t, host, hosttest.Article+hosttest.Alone)
		var seen tape
		host.Run = seen.recorder(as)
		apply(t, host, hosttest.Article+nearly)
		hosttest.WantLoaded(t, variant, hosttest.Article+nearly)
		want := []string{"iptables-nft-restore proves", "iptables-nft-save", "iptables-nft-restore loads", "iptables-nft-restore lists"}
		if ran := ofIPv4(seen.ran, variant); variant == rules.NFT && !slices.Equal(ran, want) {
			t.Errorf("ran %q, want %q", ran, want)
		} else if variant == rules.Legacy && !slices.Contains(ran, "iptables-legacy-save") {
			t.Errorf("ran %q, and never looked at the table", ran)
		}
	})
}

// TestRecordIsNotBelieved changes what is recorded of the kernel: then the table is read
// before the change, whoever wrote the record, and of whichever namespace.
func TestRecordIsNotBelieved(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for name, spoil := range map[string]func(record string) string{
		"as it is":           func(record string) string { return record },
		"cut":                func(record string) string { return record[:len(record)/2] },
		"another namespace":  func(record string) string { return strings.Replace(record, "\"}", "0\"}", 1) },
		"another generation": func(record string) string { return strings.Replace(record, `"generation":1`, `"generation":7`, 1) },
		"another variant":    func(record string) string { return strings.Replace(record, `"nft"`, `"legacy"`, 1) },
	} {
		hosttest.Boot(t, rules.NFT)
		host := newHost(t, rules.NFT)
		apply(t, host, hosttest.Article+hosttest.Alone)
		path := filepath.Join(host.Root, paths.Run, "loaded")
		record, err := os.ReadFile(path)
		hosttest.Must(t, err)
		spoiled := spoil(string(record))
		if (spoiled == string(record)) != (name == "as it is") {
			t.Fatalf("%s: %s", name, spoiled)
		}
		hosttest.Must(t, os.WriteFile(path, []byte(spoiled), 0o600))
		var seen tape
		host.Run = seen.recorder(as)
		apply(t, host, hosttest.Article+nearly)
		ran := ofIPv4(seen.ran, rules.NFT)
		reads := len(slices.DeleteFunc(slices.Clone(ran), func(what string) bool { return what != "iptables-nft-save" }))
		if believed := reads == 1; believed != (name == "as it is") { // one is that of the proof
			t.Errorf("%s: ran %q", name, ran)
		}
	}
}

// TestRecordOfAnotherNamespace has a directory for /run that outlives its network namespace, and in
// the next one a ruleset of the same number: the rules are loaded there, too.
func TestRecordOfAnotherNamespace(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	apply(t, host, hosttest.Article)
	kernel, err := host.Kernel(t.Context())
	hosttest.Must(t, err)
	number := kernel.RulesetID()
	next := netnstest.NewHost(t, "next")
	next.Do(t, func() {
		for kernel.RulesetID() < number {
			next.Command(t, "add table ip other\ndelete table ip other", "nft", "-f", "-")
		}
		if now := kernel.RulesetID(); now != number || now == 0 {
			t.Fatalf("the number of the ruleset is %d, not %d: this test proves nothing", now, number)
		}
		apply(t, host, hosttest.Article)
	})
	if saved := next.Command(t, "", "iptables-nft-save", "-t", "nat"); !strings.Contains(saved, "\n-A NATSPREAD-web ") {
		t.Errorf("nothing is loaded:\n%s", saved)
	}
}

// ofIPv4 returns what was run for IPv4 by a variant.
func ofIPv4(ran []string, variant rules.Variant) []string {
	return slices.DeleteFunc(slices.Clone(ran), func(what string) bool {
		return !strings.HasPrefix(what, "iptables-"+string(variant))
	})
}

// TestDriftIsSeenBeforeAChange has rules of natspread's deleted by hand, and then a
// change that has nothing to do with them: both are mended.
func TestDriftIsSeenBeforeAChange(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, harm := range []string{
			"-F NATSPREAD-web", "-D NATSPREAD-web 1", "-D PREROUTING -j NATSPREAD-PRE",
			"-I PREROUTING -j ACCEPT", "-A NATSPREAD-POST -j ACCEPT", "-N NATSPREAD-more",
		} {
			host := newHost(t, variant)
			apply(t, host, hosttest.Article+hosttest.Alone)
			hosttest.IPTables(t, variant, rules.IPv4, harm)
			apply(t, host, hosttest.Article+nearly)
			hosttest.WantLoaded(t, variant, hosttest.Article+nearly)
			_, list, _ := strings.Cut(hosttest.SaveNAT(t, variant, rules.IPv4), "-A PREROUTING ")
			if first, _, _ := strings.Cut(list, "\n"); !strings.HasSuffix(first, "-j NATSPREAD-PRE") {
				t.Errorf("%s: the first rule is %s", harm, first)
			}
			for _, f := range rules.Families() {
				hosttest.IPTables(t, variant, f, "-F")
				hosttest.IPTables(t, variant, f, "-X")
			}
		}
	})
}

// TestListIsNotBelieved has the list of changed chains tell something else than what was
// wanted: then the whole table is read, and that decides.
func TestListIsNotBelieved(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for name, spoil := range map[string]func(string) string{
			"a rule less":          func(out string) string { return strings.Replace(out, "-A NATSPREAD-dns", "-A NATSPREAD-web", 1) },
			"a chain less":         func(out string) string { return strings.ReplaceAll(out, "NATSPREAD-dns", "NATSPREAD-x") },
			"another backend":      func(out string) string { return strings.ReplaceAll(out, "10.0.0.9", "10.0.0.8") },
			"a jump less":          func(out string) string { return strings.Replace(out, "-j NATSPREAD-PRE", "-j DOCKER", 1) },
			"a rule before a jump": func(out string) string { return strings.Replace(out, "-A OUTPUT", "-A OUTPUT -j ACCEPT\n-A OUTPUT", 1) },
			"nothing":              func(string) string { return "" },
		} {
			host := newHost(t, variant)
			apply(t, host, hosttest.Article+hosttest.Alone)
			var seen tape
			host.Run = seen.recorder(func(what, out string) string {
				if strings.HasSuffix(what, " lists") {
					return spoil(out)
				}
				return out
			})
			apply(t, host, hosttest.Article+nearly)
			hosttest.WantLoaded(t, variant, hosttest.Article+nearly)
			ran := ofIPv4(seen.ran, variant)
			if last := ran[len(ran)-1]; variant == rules.NFT && (last != "iptables-nft-save" || !slices.Contains(ran, "iptables-nft-restore lists")) {
				t.Errorf("%s: ran %q", name, ran)
			}
			apply(t, host, hosttest.Article+hosttest.Alone)
		}
	})
}

// TestJumpPushedDownWhileReadBack has somebody insert a rule before a jump while a load
// is read back. That is no failure, but nothing to remember either: the next apply puts
// the jump first again.
func TestJumpPushedDownWhileReadBack(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article+hosttest.Alone)
		quiet := host.Run
		loaded, inserted := false, false
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if loaded && !inserted {
				inserted = true
				hosttest.IPTables(t, variant, rules.IPv4, "-I PREROUTING -d 203.0.113.1/32 -j ACCEPT")
			}
			out, err := quiet(ctx, stdin, name, args...)
			loaded = loaded || isLoad(rules.IPv4, name, args)
			return out, err
		}
		apply(t, host, hosttest.Article+nearly)
		host.Run = quiet
		if result := apply(t, host, hosttest.Article+nearly); !inserted || !result.Loaded {
			t.Errorf("the jump stays where it was pushed: inserted %v, %+v", inserted, result)
		}
		hosttest.WantLoaded(t, variant, hosttest.Article+nearly)
	})
}
