package host_test

import (
	"context"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"natspread/internal/adopt"
	"natspread/internal/adopt/host"
	"natspread/internal/change"
	"natspread/internal/configfiles"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/iptables"
)

// byHand is a nat table as people have it: thirds by hand, with rules and chains of others between them.
const byHand = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:LB - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -m comment --comment "web farm" -j LB
-A PREROUTING -d 192.0.2.77/32 -p icmp -j DNAT --to-destination 10.0.0.9
-A PREROUTING -d 192.0.2.10/32 -p udp -m udp --dport 80 -m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.0.0.1:80
-A PREROUTING -d 192.0.2.10/32 -p udp -m udp --dport 80 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.0.0.2:80
-A PREROUTING -d 192.0.2.10/32 -p udp -m udp --dport 80 -j DNAT --to-destination 10.0.0.3:80
-A OUTPUT -d 192.0.2.78/32 -j RETURN
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE
-A POSTROUTING -d 10.0.0.2/32 -j MASQUERADE
-A POSTROUTING -s 10.8.0.0/24 -o back -j MASQUERADE
-A POSTROUTING -d 10.0.0.3/32 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A LB -p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1:80
-A LB -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.2:80
-A LB -p tcp -j DNAT --to-destination 10.0.0.3:80
COMMIT
`

// byHand6 is one of IPv6, with a rule that has the same text twice.
const byHand6 = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 2001:db8::77/128 -p ipv6-icmp -j DNAT --to-destination fd00::9
-A PREROUTING -d 2001:db8::10/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::1]:80
-A PREROUTING -d 2001:db8::10/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::1]:80
-A OUTPUT -d 2001:db8::10/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::1]:80
-A POSTROUTING -j MASQUERADE
COMMIT
`

// left6 is what has to be left of that.
const left6 = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 2001:db8::77/128 -p ipv6-icmp -j DNAT --to-destination fd00::9
-A POSTROUTING -j MASQUERADE
COMMIT
`

// left is what has to be left of it beside natspread's rules.
const left = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -d 192.0.2.77/32 -p icmp -j DNAT --to-destination 10.0.0.9
-A OUTPUT -d 192.0.2.78/32 -j RETURN
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.8.0.0/24 -o back -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
`

// adopted adopts the live rules.
func adopted(t *testing.T, variant rules.Variant, choices adopt.Choices) host.Found {
	t.Helper()
	kernel := func(context.Context) (iptables.Kernel, error) { return iptables.Kernel{Variant: variant}, nil }
	nobody := func(context.Context, string, string, string, func(string) string) (string, error) { return "", nil }
	found, err := host.Adopt(t.Context(), host.Host{Run: program.Exec(), Root: t.TempDir(), Kernel: kernel, Choose: nobody}, host.Source{}, choices)
	hosttest.Must(t, err)
	hosttest.Must(t, found.CanApply())
	return found
}

// request asks to load what was adopted.
func request(t *testing.T, found host.Found) restore.Request {
	t.Helper()
	plan, err := change.Parse("natspread.toml", configfiles.Alone("natspread.toml", found.Text))
	hosttest.Must(t, err)
	asked := plan.Request("adopt")
	asked.TakeOut = found.Taken()
	return asked
}

// others returns a live nat table without natspread's chains and jumps.
func others(t *testing.T, variant rules.Variant, f rules.Family) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(hosttest.SaveNAT(t, variant, f)) {
		if !strings.Contains(line, rules.Prefix+"-") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// newHost returns a machine with an empty root.
func newHost(t *testing.T, variant rules.Variant) restore.Host {
	t.Helper()
	return restore.Host{Root: hosttest.Root(t), Run: program.Exec(), Variant: variant, Version: "test"}
}

// unscheduled is a trial that only the test ends.
func unscheduled() restore.Trial {
	schedule := func(context.Context, time.Duration) (func(context.Context), error) {
		return func(context.Context) {}, nil
	}
	return restore.Trial{For: time.Hour, Schedule: schedule}
}

// TestTakeOut adopts rules by hand, loads the config and takes them out: rules of others stay to the
// byte. What was taken out is kept beside the generation, and comes back by the line that the note
// has.
func TestTakeOut(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		machine := newHost(t, variant)
		hosttest.Put(t, variant, rules.IPv4, byHand)
		before := others(t, variant, rules.IPv4)
		found := adopted(t, variant, adopt.Choices{})
		if text := string(found.Text); !strings.Contains(text, `"web-farm"`) && !strings.Contains(text, `"lb"`) || strings.Count(text, "[[service]]") != 2 {
			t.Errorf("the config is\n%s", text)
		}
		result, err := machine.Apply(t.Context(), request(t, found))
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what others have", left, others(t, variant, rules.IPv4))
		hosttest.WantTables(t, variant, found.Tables)
		_, path, _ := strings.Cut(strings.Join(result.Notes, "\n"), "--noflush < ")
		path, _, _ = strings.Cut(path, "\n")
		kept, err := os.ReadFile(path)
		hosttest.Must(t, err)
		_, err = machine.Stop(t.Context())
		hosttest.Must(t, err)
		hosttest.Put(t, variant, rules.IPv4, string(kept), "--noflush")
		if back := others(t, variant, rules.IPv4); strings.Count(back, "\n") != strings.Count(before, "\n") {
			t.Errorf("what came back is\n%s", back)
		}
	})
}

// TestTakeOutChanged has a rule go that was listed: nothing is loaded, and nothing taken out.
func TestTakeOutChanged(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		machine := newHost(t, variant)
		hosttest.Put(t, variant, rules.IPv4, byHand)
		asked := request(t, adopted(t, variant, adopt.Choices{}))
		hosttest.IPTables(t, variant, rules.IPv4, "-D POSTROUTING -d 10.0.0.2/32 -j MASQUERADE")
		before := hosttest.SaveNAT(t, variant, rules.IPv4)
		_, err := machine.Apply(t.Context(), asked)
		if err == nil || !strings.Contains(err.Error(), "have changed since they were listed") || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("got %v", err)
		}
		hosttest.WantSame(t, "the table", before, hosttest.SaveNAT(t, variant, rules.IPv4))
	})
}

// TestTakeOutReverts has the load fail behind the transaction, by a root that takes no generation: the
// old rules are back, each in its place.
func TestTakeOutReverts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		machine := newHost(t, variant)
		hosttest.Put(t, variant, rules.IPv4, byHand)
		asked := request(t, adopted(t, variant, adopt.Choices{}))
		before := hosttest.SaveNAT(t, variant, rules.IPv4)
		// Made when the rules are loaded already: the link current cannot be put there.
		loads := 0
		run := machine.Run
		machine.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			out, err := run(ctx, stdin, name, args...)
			if strings.Contains(string(stdin), "\n-D POSTROUTING") && err == nil && loads == 0 {
				loads++
				hosttest.Must(t, os.MkdirAll(machine.Root+"/var/lib/natspread/current/x", 0o755))
			}
			return out, err
		}
		_, err := machine.Apply(t.Context(), asked)
		if err == nil || loads != 1 {
			t.Fatalf("got %v after %d loads", err, loads)
		}
		hosttest.WantSame(t, "the table", before, hosttest.SaveNAT(t, variant, rules.IPv4))
	})
}

// TestTakeOutTrial reverts a trial, which puts every rule back into its place, and confirms another one.
func TestTakeOutTrial(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		machine := newHost(t, variant)
		hosttest.Put(t, variant, rules.IPv4, byHand)
		hosttest.Put(t, variant, rules.IPv6, byHand6)
		before := hosttest.SaveNAT(t, variant, rules.IPv4) + hosttest.SaveNAT(t, variant, rules.IPv6)
		asked := request(t, adopted(t, variant, adopt.Choices{}))
		_, err := machine.Try(t.Context(), asked, unscheduled())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what others have in the trial", left+left6, others(t, variant, rules.IPv4)+others(t, variant, rules.IPv6))
		_, err = machine.Revert(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "the tables", before, hosttest.SaveNAT(t, variant, rules.IPv4)+hosttest.SaveNAT(t, variant, rules.IPv6))

		_, err = machine.Try(t.Context(), asked, unscheduled())
		hosttest.Must(t, err)
		result, err := machine.Confirm(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what others have", left, others(t, variant, rules.IPv4))
		if notes := strings.Join(result.Notes, "\n"); !strings.Contains(notes, "taken-out.v4") {
			t.Errorf("notes: %s", notes)
		}
	})
}

// TestAdoptUnderLoad takes the old rules out and puts the new ones in, and back again, under streams
// that stay open, streams that are made all the time, and datagram flows: nothing of all this fails.
func TestAdoptUnderLoad(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Forward: true})
		n.Serve(t, "tcp", 4, 80)
		n.Serve(t, "udp", 4, 80)
		machine := newHost(t, variant)
		hosttest.Put(t, variant, rules.IPv4, byHand)
		vip := netip.AddrPortFrom(netnstest.VIP(4), 80).String()
		load := netnstest.NewLoad(t)
		for i := range 8 {
			open := netnstest.Converse(t, n.Client, []string{"tcp", "udp"}[i%2], vip)
			backend, err := open.Ask(10 * time.Second)
			hosttest.Must(t, err)
			load.Keep(open, backend)
		}
		load.Connect(n.Client, vip)
		asked := request(t, adopted(t, variant, adopt.Choices{}))
		for range 3 {
			result, err := machine.Try(t.Context(), asked, unscheduled())
			hosttest.Must(t, err)
			if result.DeletedEntries != 0 {
				t.Errorf("%+v", result)
			}
			_, err = machine.Revert(t.Context())
			hosttest.Must(t, err)
		}
		_, err := machine.Apply(t.Context(), asked)
		hosttest.Must(t, err)
		load.WantGood(t, 100)
		if counted := regexp.MustCompile(`\[\d+:\d+\]`).ReplaceAllString(others(t, variant, rules.IPv4), "[0:0]"); counted != left {
			t.Errorf("others have\n%s", counted)
		}
		if len(asked.TakeOut) != 11 {
			t.Errorf("%d rules and chains were taken out", len(asked.TakeOut))
		}
	})
}
