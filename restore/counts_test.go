package restore_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// countedBy sums what rules counted for the backends of services, those that are there and
// those that are not.
func countedBy(t testing.TB, host restore.Host) map[string]uint64 {
	t.Helper()
	s, sums := status(t, host), map[string]uint64{}
	add := func(count rules.Count) {
		sums[count.Service+" "+count.Protocol+" "+string(rules.Rule{Target: count.Target}.AppendText(nil))] += count.Packets
	}
	for _, count := range s.Counts {
		add(count)
	}
	for i, table := range rules.NoTables().All() {
		for _, chain := range s.Tables[i].OwnChains() {
			for _, rule := range chain.Rules {
				if count, counts := rules.CountOf(table.Family, chain.Name, rule.Text, rule.Packets); counts {
					add(count)
				}
			}
		}
	}
	return sums
}

// TestCountsNeverFall connects to services, and changes what is loaded in every way: what each
// backend got stays as it is, also of one that is out, until a stop.
func TestCountsNeverFall(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 3})
		host := newHost(t, variant)
		toml, less := "", ""
		for _, family := range []int{4, 6} {
			toml += service("web"+string(rune('0'+family)), family, 80, 3)
			n.Serve(t, "tcp", family, 80)
		}
		less = without(toml, at(backend(4, 1), 80), at(backend(6, 1), 80))
		apply(t, host, toml)
		want := map[string]uint64{}
		ask := func() {
			t.Helper()
			for _, family := range []int{4, 6} {
				netnstest.AskMany(t, n.Client, "tcp", at(netnstest.VIP(family), 80), 30, 4)
			}
			now := countedBy(t, host)
			var sum uint64
			for key, count := range now {
				sum += count
				if count < want[key] {
					t.Errorf("%s: %d, after %d", key, count, want[key])
				}
			}
			want = now
			if int(sum)%60 != 0 {
				t.Errorf("%d connections are counted: %v", sum, now)
			}
		}
		ask()
		same := func(what string) {
			t.Helper()
			if now := countedBy(t, host); !maps.Equal(now, want) {
				t.Errorf("%s: %v, not %v", what, now, want)
			}
		}
		load(t, host, overlay(t, host, less))
		same("one is out")
		ask()
		failing := host
		failing.Run = failOn(rules.IPv6)(host.Run)
		if _, err := failing.LoadOverlay(t.Context(), up(t, host), restore.Freed{}); err == nil {
			t.Error("it did not fail")
		}
		same("a load failed")
		load(t, host, up(t, host))
		same("it is back")
		ask()
		apply(t, host, less+service("more", 4, 81, 2))
		same("another config")
		ask()
		apply(t, host, toml)
		same("the first config")
		_, err := host.Try(t.Context(), request(t, less), (&revertTimer{}).trial())
		hosttest.Must(t, err)
		same("a trial")
		_, err = host.Revert(t.Context())
		hosttest.Must(t, err)
		same("its end")
		hosttest.IPTables(t, variant, rules.IPv4, "-F NATSPREAD-web4")
		_, err = host.Stop(t.Context())
		hosttest.Must(t, err)
		apply(t, host, toml)
		if now := countedBy(t, host); len(now) > 0 {
			t.Errorf("after a stop: %v", now)
		}
	})
}

// TestCountsElsewhere does not take the counts of another boot, or network namespace, for its
// own.
func TestCountsElsewhere(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		one := rules.Count{Family: rules.IPv4, Service: "web", Protocol: "tcp", Packets: 7,
			Target: rules.Target{Kind: rules.DNAT, Address: backend(4, 0), Port: 80}}
		store := host.Store()
		hosttest.Must(t, store.BeginCounts([]rules.Count{one}))
		hosttest.Must(t, store.EndCounts(true))
		if counts, begun := store.Counts(); len(counts) != 1 || counts[0] != one || begun {
			t.Errorf("%v, %v", counts, begun)
		}
		file := filepath.Join(host.Root, paths.Run, "counts")
		hosttest.Must(t, replaced("counts of ", "counts of x")(file))
		if counts, _ := store.Counts(); len(counts) != 0 {
			t.Errorf("of another boot: %v", counts)
		}
		hosttest.Must(t, store.BeginCounts([]rules.Count{one}))
		if counts, begun := store.Counts(); len(counts) != 0 || !begun {
			t.Errorf("before the end: %v, %v", counts, begun)
		}
		hosttest.Must(t, store.EndCounts(false))
		if counts, begun := store.Counts(); len(counts) != 0 || begun {
			t.Errorf("of a load that failed: %v, %v", counts, begun)
		}
		hosttest.Must(t, os.Truncate(file, 9))
		hosttest.Must(t, store.BeginCounts([]rules.Count{one}))
		hosttest.Must(t, store.EndCounts(true))
		if counts, _ := store.Counts(); len(counts) != 1 {
			t.Errorf("after a cut: %v", counts)
		}
	})
}
