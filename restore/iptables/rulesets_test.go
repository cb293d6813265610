package iptables_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// TestRulesets reads what both variants hold, makes no table by it, and tells what it
// could not read beside what it could.
func TestRulesets(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		before, err := host.Rulesets(t.Context())
		if err != nil || len(before) != 4 {
			t.Fatalf("%d rulesets, %v", len(before), err)
		}
		for _, r := range before {
			if len(r.Tables) != 0 {
				t.Errorf("%v %s: the tables %v", r.Family, r.Variant, r.Tables)
			}
		}
		for _, names := range []string{"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"} {
			if tables, err := os.ReadFile(names); err == nil && len(tables) > 0 {
				t.Errorf("to ask made %s", tables)
			}
		}
		if native, err := host.NativeRules(t.Context()); err != nil || strings.Contains(string(native), "table") {
			t.Errorf("%s, %v", native, err)
		}

		netnstest.Self().Command(t, "", netnstest.Programs(string(variant), 6).Iptables, "-w", "5", "-A", "FORWARD", "-j", "DROP")
		after, err := host.Rulesets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range after {
			want := r.Family == rules.IPv6 && r.Variant == string(variant)
			forward, _ := r.Chain("filter", rules.Forward)
			if slices.Contains(forward.Rules, rules.SavedRule{Text: "-j DROP"}) != want {
				t.Errorf("%v %s: %v", r.Family, r.Variant, r.Tables)
			}
		}

		run := host.Run
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.Contains(name, "ip6tables-nft") || strings.HasSuffix(name, "/nft") {
				return nil, errors.New("no rights")
			}
			return run(ctx, stdin, name, args...)
		}
		some, err := host.Rulesets(t.Context())
		if len(some) != 3 || err == nil || err.Error() != "cannot read the ipv6 rules of the nft variant: no rights" {
			t.Errorf("%d rulesets, %v", len(some), err)
		}
		if _, err := host.NativeRules(t.Context()); err == nil || err.Error() != "cannot read the rules of nftables: no rights" {
			t.Errorf("%v", err)
		}
	})
}

// TestFiles names the files that a generation has, all of them and no other.
func TestFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	store := generation.Store{Root: root}
	for i, wanted := range []rules.Tables{{}, tables(t, accepted(article))} {
		number, err := store.Write(generation.Generation{Tables: wanted, Manifest: generation.Manifest{Variant: rules.NFT}})
		must(t, err)
		must(t, store.SetCurrent(number))
		names := store.Files(number)
		for _, name := range names {
			if _, err := os.Lstat(root + "/" + name); err != nil {
				t.Error(err)
			}
		}
		entries, err := os.ReadDir(fmt.Sprintf("%s/var/lib/natspread/generations/%d", root, number))
		if want := 4 + 2*i; err != nil || len(entries) != want || len(names) != want+1 {
			t.Errorf("%d files beside current, %v: %v", len(entries), names, err)
		}
	}
}
