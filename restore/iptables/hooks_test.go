package iptables_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
)

// TestReadHooks reads what both variants hold, makes no table by it, and tells what it could
// not read beside what it could.
func TestReadHooks(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		run := program.Exec()
		before, err := iptables.ReadHooks(t.Context(), run)
		if err != nil || len(before.Rulesets) != 4 || len(before.Chains)+len(before.Native) != 0 {
			t.Fatalf("%+v, %v", before, err)
		}
		for _, r := range before.Rulesets {
			if len(r.Tables) != 0 {
				t.Errorf("%v %s: the tables %v", r.Family, r.Variant, r.Tables)
			}
		}
		wantNoTables(t)

		six := hosttest.Programs(variant, rules.IPv6).Iptables
		for _, line := range []string{"-A FORWARD -j DROP", "-t raw -A PREROUTING -j NOTRACK", "-t mangle -N A", "-t mangle -A A -j A2", "-t nat -N NATSPREAD-PRE", "-t nat -A PREROUTING -j NATSPREAD-PRE"} {
			if strings.HasSuffix(line, "A2") {
				netnstest.Self().Command(t, "", six, "-w", "5", "-t", "mangle", "-N", "A2")
			}
			netnstest.Self().Command(t, "", six, append([]string{"-w", "5"}, strings.Fields(line)...)...)
		}
		after, err := iptables.ReadHooks(t.Context(), run)
		hosttest.Must(t, err)
		for _, r := range after.Rulesets {
			want := r.Family == rules.IPv6 && r.Variant == variant
			for _, one := range []struct{ table, chain, rule string }{
				{"filter", "FORWARD", "-j DROP"}, {"mangle", "A", "-j A2"}, {"nat", "PREROUTING", "-j NATSPREAD-PRE"},
			} {
				chain, _ := r.Chain(one.table, one.chain)
				if slices.Contains(chain.Rules, rules.SavedRule{Text: one.rule}) != want {
					t.Errorf("%v %s: %v", r.Family, r.Variant, r.Tables)
				}
			}
			if raw, _ := r.Chain("raw", "PREROUTING"); (len(raw.Rules) == 1) != want {
				t.Errorf("%v %s: %v", r.Family, r.Variant, raw)
			}
		}

		run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.Contains(name, "ip6tables-"+string(variant)) {
				return nil, errors.New("no rights")
			}
			return program.Exec()(ctx, stdin, name, args...)
		}
		some, err := iptables.ReadHooks(t.Context(), run)
		if variant == rules.Legacy {
			if len(some.Rulesets) != 3 || err == nil || err.Error() != "cannot read the ipv6 rules of the legacy variant: no rights" {
				t.Errorf("%d rulesets, %v", len(some.Rulesets), err)
			}
		} else if err != nil || len(some.Native) != 4 { // nft reads what iptables cannot
			t.Errorf("%d tables, %v", len(some.Native), err)
		}
	})
}

// TestReadNative reads tables of nft's own, also in a table of iptables, and no other part of
// that; what sleeps is no hook. Without nft it says that they are not read.
func TestReadNative(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, `
add table inet a
add chain inet a pre { type filter hook prerouting priority raw; }
add rule inet a pre udp dport 53 notrack
add table inet empty
add chain inet empty none
add table ip6 asleep { flags dormant; }
add chain ip6 asleep pre { type filter hook prerouting priority raw; }
add table ip raw
add chain ip raw own { type filter hook output priority raw; }
add table bridge b
add chain bridge b pre { type filter hook prerouting priority 0; }
`, "nft", "-f", "-")
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "NOTRACK")
	read, err := iptables.ReadHooks(t.Context(), program.Exec())
	hosttest.Must(t, err)
	if len(read.Native) != 2 || read.Native[0].Name != "a" || read.Native[1].Name != "raw" || !strings.Contains(string(read.Native[0].Text), "udp dport 53 notrack # handle ") {
		t.Errorf("%+v", read.Native)
	}
	want := []rules.BaseChain{
		{Family: "inet", Table: "a", Name: "pre"}, {Family: "ip6", Table: "asleep", Name: "pre", Dormant: true},
		{Family: "ip", Table: "raw", Name: "own"}, {Family: "ip", Table: "raw", Name: "PREROUTING"},
	}
	if !slices.Equal(read.Chains, want) {
		t.Errorf("%+v", read.Chains)
	}
	if raw, _ := read.Rulesets[0].Chain("raw", "PREROUTING"); len(raw.Rules) != 1 {
		t.Errorf("%+v", raw)
	}
	run := func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if strings.HasSuffix(name, "/nft") {
			return nil, errors.New("gone")
		}
		return program.Exec()(ctx, stdin, name, args...)
	}
	if _, err := iptables.ReadHooks(t.Context(), run); err == nil || err.Error() != "cannot read the nftables table inet a: gone\ncannot read the nftables table ip raw: gone" {
		t.Errorf("%v", err)
	}
}

// TestPartlyShown names the rules of which iptables-nft shows only a part.
func TestPartlyShown(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "nat", "-N", "P1")
	for _, rule := range []string{"-p tcp -m tcp --dport 80 -s 10.0.0.0/9 -j DNAT --to-destination 10.0.0.1", "-m limit --limit 3/min -j LOG", "-m comment --comment x -i eth0 ! -d 10.0.0.1 -j MARK --set-mark 1"} {
		netnstest.Self().Command(t, "", "iptables-nft", append([]string{"-t", "nat", "-A", "PREROUTING"}, strings.Fields(rule)...)...)
	}
	netnstest.Self().Command(t, "add set ip nat ok { type ipv4_addr; elements = { 198.51.100.7 } }\nadd rule ip nat P1 accept\nadd rule ip nat P1 ip saddr @ok accept\n", "nft", "-f", "-")
	read, err := iptables.ReadHooks(t.Context(), program.Exec())
	hosttest.Must(t, err)
	if want := []rules.PartlyShown{{Family: rules.IPv4, Table: "nat", Chain: "P1", Place: 2}}; !slices.Equal(read.Partly, want) {
		t.Errorf("%+v", read.Partly)
	}
}

// TestDormant tells whether a nat table is dormant, and the line wakes it.
func TestDormant(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		want := func(want ...string) []iptables.Dormant {
			t.Helper()
			var said []string
			dormant, err := kernel.Dormant(rules.Families()...)
			for _, one := range dormant {
				said = append(said, one.String())
			}
			if err != nil || !slices.Equal(said, want) {
				t.Errorf("%q, %v", said, err)
			}
			return dormant
		}
		want()
		for _, family := range rules.Families() {
			hosttest.IPTablesOn(t, variant, family, rules.NAT, "-N A")
		}
		want()
		netnstest.Self().Command(t, "add table ip6 nat { flags dormant; }", "nft", "-f", "-")
		if variant == rules.Legacy { // which runs on
			want()
			return
		}
		dormant := want("ipv6: the nftables table ip6 nat is dormant: the kernel runs none of its rules, so nothing is balanced")
		netnstest.Self().Command(t, dormant[0].Fix(), "sh")
		want()
	})
}

// TestNativeNamed names the rule because of which iptables cannot read a table, and the line
// that takes it out.
func TestNativeNamed(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	kernel := iptables.Kernel{Run: program.Exec(), Variant: rules.NFT}
	for _, family := range rules.Families() {
		table := map[rules.Family]string{rules.IPv4: "ip nat", rules.IPv6: "ip6 nat"}[family]
		hosttest.IPTablesOn(t, rules.NFT, family, rules.NAT, "-N P1")
		hosttest.IPTablesOn(t, rules.NFT, family, rules.NAT, "-A P1 -p udp -j RETURN")
		netnstest.Self().Command(t, "add rule "+table+" P1 numgen inc mod 2 0 drop", "nft", "-f", "-")
		_, err := kernel.Read(t.Context(), rules.Table{Family: family})
		want := "cannot read the nat table: it holds rules of nft's own, which iptables cannot read, as rule 2 of chain P1 (nft -a list chain " + table + " P1): give them a table of their own: "
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("%v", err)
		}
		netnstest.Self().Command(t, strings.TrimPrefix(err.Error(), want), "sh")
		_, err = kernel.Read(t.Context(), rules.Table{Family: family})
		hosttest.Must(t, err)
	}
}
