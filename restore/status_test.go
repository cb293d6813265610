package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// apart is the part of a status that tells each kind of drift apart.
type apart struct {
	State                                   restore.State
	Boot                                    []string
	Rules, OtherVariant, Forwarding, Behind []restore.Line
}

// apartOf returns it.
func apartOf(t *testing.T, host restore.Host) apart {
	t.Helper()
	s, err := host.Status(t.Context())
	hosttest.Must(t, err)
	return apart{s.State, s.Boot, s.Rules, s.OtherVariant, s.Forwarding, s.Behind}
}

// TestStatusApart brings about each kind of drift by itself, and has apply mend it.
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
			want  apart
		}{
			{func() { hosttest.IPTables(t, variant, rules.IPv6, "-D OUTPUT 1") },
				apart{State: restore.Drift, Rules: line(rules.IPv6, "ipv6: the jump in OUTPUT is missing")}},
			{func() { hosttest.IPTables(t, variant.Other(), rules.IPv6, "-N NATSPREAD-old") },
				apart{State: restore.Drift, OtherVariant: line(rules.IPv6, fmt.Sprintf("ipv6: the %s variant holds rules of natspread's too: apply takes them out", variant.Other()))}},
			{func() { hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0\n"), 0)) },
				apart{State: restore.Drift, Forwarding: line(rules.IPv4, "ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded")}},
			{func() { hosttest.IPTables(t, variant, rules.IPv4, "-I OUTPUT -j RETURN") },
				apart{State: restore.InStep, Behind: line(rules.IPv4, "ipv4: the jump in OUTPUT is rule 2: what the rules before it take does not reach natspread's; apply puts it first")}},
		} {
			c.drift()
			if diff := cmp.Diff(c.want, apartOf(t, host)); diff != "" {
				t.Errorf("-want +have:\n%s", diff)
			}
			apply(t, host, hosttest.Article)
			if diff := cmp.Diff(apart{State: restore.InStep}, apartOf(t, host)); diff != "" {
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
			if status, err := looking.Status(t.Context()); err != nil || !done || status.State != restore.InStep {
				t.Errorf("%s: %v, %q, %v", name, status.State, status.Drifts(), err)
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
			for lock := filepath.Join(host.Root, "run/natspread/lock"); openFiles(lock) < 2 && looking.Err() == nil; {
				time.Sleep(time.Millisecond)
			}
			close(goOn)
		}()
		if status, err := host.Status(t.Context()); err != nil || status.State != restore.InStep || status.Current != 2 {
			t.Errorf("%v, generation %d, %q, %v", status.State, status.Current, status.Drifts(), err)
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
