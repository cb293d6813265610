package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// TestStatus walks through the states.
func TestStatus(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		wantNotLoaded(t, host)
		apply(t, host, hosttest.Article)
		wantInSync(t, host)
		for _, c := range []struct{ line, difference string }{
			{"-A PREROUTING -j NATSPREAD-PRE", "ipv4: the jump in PREROUTING is doubled: rules 1 and 2"},
			{"-A NATSPREAD-web -j RETURN", "ipv4: chain NATSPREAD-web has rule 4, which should not be there: -j RETURN"},
			{"-N NATSPREAD-more", "ipv4: chain NATSPREAD-more is left over"},
			{"-D OUTPUT 1", "ipv4: the jump in OUTPUT is missing"},
			{"-R POSTROUTING 1 -s 10.0.0.0/8 -j NATSPREAD-POST", "ipv4: the jump in POSTROUTING is changed: it is -s 10.0.0.0/8 -j NATSPREAD-POST"},
		} {
			apply(t, host, hosttest.Article)
			wantInSync(t, host)
			hosttest.IPTables(t, variant, rules.IPv4, c.line)
			wantLine(t, host, c.difference)
		}
		for _, f := range rules.Families() {
			hosttest.Put(t, variant, f, string(rules.Table{Family: f}.Text()))
		}
		wantNotLoaded(t, host)
		apply(t, host, hosttest.Article)
		wantInSync(t, host)
	})
}

// found is the part of a status that tells what a load would change.
type found struct {
	Loaded                                           bool
	Rules, OtherVariant, JumpsNotFirst, NotForwarded []restore.Line
}

// foundOf returns it.
func foundOf(t *testing.T, host restore.Host) found {
	t.Helper()
	s := status(t, host)
	return found{s.Loaded, s.Rules, s.OtherVariant, s.JumpsNotFirst, s.NotForwarded}
}

// TestStatusApart brings about each kind of difference by itself, and has apply mend it.
func TestStatusApart(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		line := func(family rules.Family, text string) []restore.Line {
			return []restore.Line{{Family: family, Text: text}}
		}
		for _, c := range []struct {
			drift func()
			want  found
		}{
			{func() { hosttest.IPTables(t, variant, rules.IPv6, "-D OUTPUT 1") },
				found{Loaded: true, Rules: line(rules.IPv6, "ipv6: the jump in OUTPUT is missing")}},
			{func() { hosttest.IPTables(t, variant.Other(), rules.IPv6, "-N NATSPREAD-old") },
				found{Loaded: true, OtherVariant: line(rules.IPv6, fmt.Sprintf("ipv6: the %s variant holds rules of natspread, too: packets meet both", variant.Other()))}},
			{func() { hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0\n"), 0)) },
				found{Loaded: true, NotForwarded: line(rules.IPv4, "ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded")}},
			{func() { hosttest.IPTables(t, variant, rules.IPv4, "-I OUTPUT -j RETURN") },
				found{Loaded: true, JumpsNotFirst: line(rules.IPv4, "ipv4: the jump in OUTPUT is rule 2: a connection that a rule before it accepts or translates does not reach natspread")}},
		} {
			c.drift()
			if diff := cmp.Diff(c.want, foundOf(t, host)); diff != "" {
				t.Errorf("-want +have:\n%s", diff)
			}
			apply(t, host, hosttest.Article)
			if diff := cmp.Diff(found{Loaded: true}, foundOf(t, host)); diff != "" {
				t.Errorf("apply mends it not: -want +have:\n%s", diff)
			}
		}
	})
}

// TestStatusDuringApply has an apply done while a status reads: what it then finds is of
// two moments, and no drift.
func TestStatusDuringApply(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for name, change := range map[string]func(host restore.Host) error{
			"an apply": func(host restore.Host) error {
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				return err
			},
			"current where it was": func(host restore.Host) error { // stopped, as far as the first family was read
				_, err := host.Restore(t.Context())
				return err
			},
		} {
			host := newHost(t, variant)
			apply(t, host, hosttest.Article)
			if name != "an apply" {
				_, err := host.Stop(t.Context())
				hosttest.Must(t, err)
			}
			looking, done := host, false
			looking.Run = func(ctx context.Context, stdin []byte, program string, args ...string) ([]byte, error) {
				out, err := host.Run(ctx, stdin, program, args...)
				if !done && strings.HasSuffix(program, "-save") && isFamily(rules.IPv4, program) {
					done = true
					hosttest.Must(t, change(host))
				}
				return out, err
			}
			if s := status(t, looking); !done || s.Differs() {
				t.Errorf("%s: done %v, loaded %v, and these differ: %q", name, done, s.Loaded, lines(s))
			}
		}
	})
}

// TestStatusWaitsForApply looks while an apply stands between its load and the moment
// that makes the new generation current.
func TestStatusWaitsForApply(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		loaded, goOn, applied := make(chan struct{}), make(chan struct{}), make(chan error)
		applying := host
		applying.Run = func(ctx context.Context, stdin []byte, program string, args ...string) ([]byte, error) {
			out, err := host.Run(ctx, stdin, program, args...)
			if slices.Contains(args, "--noflush") && isFamily(rules.IPv6, program) {
				close(loaded)
				<-goOn
			}
			return out, err
		}
		go func() {
			_, err := applying.Apply(t.Context(), request(t, hosttest.Smaller))
			applied <- err
		}()
		select {
		case <-loaded:
		case err := <-applied:
			t.Fatalf("nothing was loaded: %v", err)
		}
		looking, end := context.WithCancel(t.Context())
		go func() { // the apply goes on as soon as the status waits for it
			lock := filepath.Join(host.Root, paths.Run, "lock")
			await.Within(busy, func() bool { return openFiles(lock) >= 2 || looking.Err() != nil })
			close(goOn)
		}()
		if s := status(t, host); s.Differs() || s.Wanted.Current != 2 {
			t.Errorf("generation %d, loaded %v, and these differ: %q", s.Wanted.Current, s.Loaded, lines(s))
		}
		end()
		hosttest.Must(t, <-applied)
	})
}

// openFiles counts how often this process has a file open.
func openFiles(path string) int {
	entries, _ := filepath.Glob("/proc/self/fd/*")
	count := 0
	for _, entry := range entries {
		if target, _ := os.Readlink(entry); target == path {
			count++
		}
	}
	return count
}
