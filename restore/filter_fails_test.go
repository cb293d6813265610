package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// loads returns a seam that notes the transactions in order, as "ipv4 filter", and lets
// the one fail that is named, before it is sent or after.
func loads(t *testing.T, run program.Runner, order *[]string, fails string, after bool) program.Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if !slices.Contains(args, "--noflush") {
			return run(ctx, stdin, name, args...)
		}
		which := rules.Table{}
		if isFamily(rules.IPv6, name) {
			which.Family = rules.IPv6
		}
		for _, name := range []rules.TableName{rules.Filter, rules.Mangle} {
			if strings.HasPrefix(string(stdin), "*"+name.String()+"\n") {
				which.Name = name
			}
		}
		*order = append(*order, which.String())
		if which.String() != fails {
			return run(ctx, stdin, name, args...)
		}
		fails = "" // once: the revert is not to fail
		if after {
			if _, err := run(ctx, stdin, name, args...); err != nil {
				t.Error(err)
			}
			hosttest.IPTablesOn(t, rules.Variant(variantOf(name)), which.Family, which.Name, "-F "+which.Name.EntryChains(rules.Forward)[0])
			return nil, nil
		}
		return nil, errSeam
	}
}

// variantOf returns the variant of a program.
func variantOf(name string) string {
	return strings.Split(filepath.Base(name), "-")[1]
}

// TestForwardOrder asks that what lets connections through is loaded last and taken out
// first, each table in a transaction of its own.
func TestForwardOrder(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		run := host.Run
		applying := func(toml string) func() error {
			return func() error { _, err := host.Apply(t.Context(), request(t, toml)); return err }
		}
		stop := func() error { _, err := host.Stop(t.Context()); return err }
		for _, step := range []struct {
			does func() error
			want []string
		}{
			{applying(hosttest.Accepted(hosttest.Article)), []string{"ipv4", "ipv6", "ipv4 filter", "ipv6 filter"}},
			{applying(hosttest.Smaller), []string{"ipv4 filter", "ipv6 filter", "ipv4", "ipv6"}},
			{applying(hosttest.Accepted(hosttest.Smaller)), []string{"ipv4 filter", "ipv6 filter"}},
			{applying(hosttest.Accepted(hosttest.Alone)), []string{"ipv6 filter", "ipv4", "ipv6", "ipv4 filter"}},
			{stop, []string{"ipv4 filter", "ipv4"}},
		} {
			var order []string
			host.Run = loads(t, run, &order, "", false)
			hosttest.Must(t, step.does())
			if !slices.Equal(order, step.want) {
				t.Errorf("%q, want %q", order, step.want)
			}
		}
		var order []string
		host.Run = loads(t, run, &order, "ipv6 filter", false)
		want := []string{"ipv4", "ipv6", "ipv4 filter", "ipv6 filter", "ipv4 filter", "ipv6", "ipv4"}
		if err := applying(hosttest.Accepted(hosttest.Article))(); !errors.Is(err, errSeam) || !slices.Equal(order, want) {
			t.Errorf("there and back: %q, want %q; %v", order, want, err)
		}
	})
}

// TestForwardUnanswered takes no silence for the answer that there are no accepts: where the
// program was killed, or could not look, all is left as it is, and nothing is stopped. By
// nft the kernel itself is asked.
func TestForwardUnanswered(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.Legacy)
	apply(t, host, hosttest.Accepted(hosttest.Article))
	before := state(t, host)
	for _, failed := range []program.Error{{Code: -1, Err: errSeam}, {Code: 4, Err: program.ErrBusy}, {Code: 4, Err: program.ErrNoRights}} {
		silent := host
		silent.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.Contains(string(stdin), "-S "+rules.ServiceForward) {
				return nil, &failed
			}
			return host.Run(ctx, stdin, name, args...)
		}
		wantKept(t, silent, failed.Err.Error())
	}
	hosttest.WantSame(t, "the state", before, state(t, host))
}

// TestForwardUnreadable has somebody put into our chain what iptables cannot read: it is
// not taken for gone.
func TestForwardUnreadable(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	apply(t, host, hosttest.Accepted(hosttest.Article))
	netnstest.Self().Command(t, "", "nft", "add rule ip filter NATSPREAD-FORWARD ct mark 1 fib saddr type local drop")
	before := netnstest.Self().Command(t, "", "nft", "list", "ruleset")
	wantKept(t, host, "rules of nft's own")
	hosttest.WantSame(t, "the ruleset", before, netnstest.Self().Command(t, "", "nft", "list", "ruleset"))
	netnstest.Self().Command(t, "", "nft", "flush chain ip filter NATSPREAD-FORWARD")
	apply(t, host, hosttest.Article)
	hosttest.WantLoaded(t, rules.NFT, hosttest.Article)
}

// wantKept asks that neither a stop nor an apply gives up the accepts of the article's
// balancer, and that they say why.
func wantKept(t *testing.T, host restore.Host, why string) {
	t.Helper()
	if _, err := host.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: stop: %v", why, err)
	}
	if _, err := host.Apply(t.Context(), request(t, hosttest.Article)); err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: apply: %v", why, err)
	}
}

// TestForwardFails lets each transaction fail, and asks that all is as it was: no accept
// without the rules that it is for, and no rules without the accepts that were asked for.
func TestForwardFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, from := range []string{"", hosttest.Article, hosttest.Accepted(hosttest.Alone)} {
			hosttest.Boot(t, variant)
			host := newHost(t, variant)
			putForeignFilter(t, variant)
			if from != "" {
				apply(t, host, from)
			}
			before := counted(variant, state(t, host))
			for _, fails := range []string{"ipv4", "ipv6", "ipv4 filter", "ipv6 filter", "ipv4 filter, emptied", "ipv6 filter, emptied"} {
				t.Run(fmt.Sprintf("%d/%s", len(from), fails), func(t *testing.T) {
					which, _, emptied := strings.Cut(fails, ",")
					failing := host
					var order []string
					failing.Run = loads(t, host.Run, &order, which, emptied)
					_, err := failing.Apply(t.Context(), request(t, hosttest.Accepted(hosttest.Smaller)))
					if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") || !strings.Contains(err.Error(), which+" rules") {
						t.Errorf("the error is %v", err)
					}
					hosttest.WantSame(t, "the state", before, counted(variant, state(t, host)))
				})
			}
			apply(t, host, hosttest.Accepted(hosttest.Smaller)) // and nothing stands in its way
			hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Smaller))
		}
		t.Run("stop", func(t *testing.T) {
			hosttest.Boot(t, variant)
			host := newHost(t, variant)
			apply(t, host, hosttest.Accepted(hosttest.Article))
			before := state(t, host)
			failing := host
			var order []string
			failing.Run = loads(t, host.Run, &order, "ipv6", false)
			_, err := failing.Stop(t.Context())
			if !errors.Is(err, errSeam) {
				t.Errorf("the error is %v", err)
			}
			hosttest.WantSame(t, "the state", before, state(t, host))
		})
	})
}

// TestForwardAtBoot restores what accepts there are, from files that are checked like
// the others: a generation whose part of the filter table is lost or another is not good.
func TestForwardAtBoot(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Smaller)
		apply(t, host, hosttest.Accepted(hosttest.Article))
		hosttest.Boot(t, variant)
		result, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		if result.Generation != 2 || hosttest.Forwarding(t) != "11" {
			t.Errorf("%+v, forwarding %s", result, hosttest.Forwarding(t))
		}
		hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Article))

		file := filepath.Join(host.Root, "var/lib/natspread/generations/2/filter.v4")
		content, err := os.ReadFile(file)
		hosttest.Must(t, err)
		for name, damage := range map[string]func() error{
			"lost": func() error { return os.Remove(file) },
			"altered": func() error {
				return os.WriteFile(file, []byte(strings.Replace(string(content), "80", "81", 1)), 0o600)
			},
			"another": func() error {
				other := rules.EncodeFile(hosttest.Tables(t, hosttest.Accepted(hosttest.Alone)).FilterIPv4)
				return os.WriteFile(file, other, 0o600)
			},
			"everybody's": func() error { return os.Chmod(file, 0o666) },
		} {
			t.Run(name, func(t *testing.T) {
				hosttest.Must(t, damage())
				hosttest.Boot(t, variant)
				result, err := host.Restore(t.Context())
				if err == nil || result.Generation != 1 || !strings.Contains(err.Error(), "filter.v4") {
					t.Errorf("%+v, %v", result, err)
				}
				hosttest.WantLoaded(t, variant, hosttest.Smaller)
				hosttest.Must(t, os.RemoveAll(file))
				hosttest.Must(t, os.WriteFile(file, content, 0o600))
			})
		}
	})
}

// TestForwardOnTrial takes accepts back with all else, and keeps them when they are
// confirmed.
func TestForwardOnTrial(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeignFilter(t, variant)
		apply(t, host, hosttest.Article)
		before := filters(t, variant)
		try(t, host, hosttest.Accepted(hosttest.Article))
		hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Article))
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
		hosttest.WantSame(t, "the filter tables", before, filters(t, variant))

		try(t, host, hosttest.Accepted(hosttest.Article))
		hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, "-F NATSPREAD-FORWARD")
		if _, err := host.Confirm(t.Context()); err == nil {
			t.Error("confirmed what the kernel no longer holds")
		}
		_, err = host.Revert(t.Context())
		hosttest.Must(t, err)
		try(t, host, hosttest.Accepted(hosttest.Article))
		_, err = host.Confirm(t.Context())
		hosttest.Must(t, err)
		hosttest.Boot(t, variant)
		_, err = host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Article))
	})
}

// TestForwardDrift says what became of the accepts, and mends it.
func TestForwardDrift(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Accepted(hosttest.Article))
		for _, c := range []struct{ line, difference string }{
			{"-F NATSPREAD-FORWARD", "ipv4 filter: chain NATSPREAD-FORWARD is empty: it should have 1 rule"},
			{"-A NATSPREAD-FORWARD -j ACCEPT", "ipv4 filter: chain NATSPREAD-FORWARD has rule 2, which should not be there: -j ACCEPT"},
			{"-D FORWARD 1", "ipv4 filter: the jump in FORWARD is missing"},
			{"-N NATSPREAD-old", "ipv4 filter: chain NATSPREAD-old is left over"},
			{"-A FORWARD -s 203.0.113.9/32 -j DROP", "ipv4: the jump in FORWARD is rule 1, and belongs at place 2: connections pass the bans between"},
			{"-I FORWARD -j DROP", "ipv4: the jump in FORWARD is rule 3, and belongs at place 1: a rule between may drop connections"},
			{"-I FORWARD 2 -j DROP", "ipv4: the jump in FORWARD is rule 3, and belongs at place 2: a rule between may drop connections"},
		} {
			hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Filter, c.line)
			wantLine(t, host, c.difference)
			if result := apply(t, host, hosttest.Accepted(hosttest.Article)); !result.Loaded || result.Generation != 1 {
				t.Errorf("%s: %+v", c.line, result)
			}
			hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Article))
		}
		// Accepts that nothing asks for any more, and that a kill left behind.
		apply(t, host, hosttest.Article)
		hosttest.Put(t, variant, rules.IPv6, string(hosttest.Tables(t, hosttest.Accepted(hosttest.Article)).FilterIPv6.Text()), "--noflush")
		wantLine(t, host, "ipv6 filter: chain NATSPREAD-FORWARD is left over")
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
	})
}

// TestForwardInOtherVariant takes accepts out of the variant that is no longer in use.
func TestForwardInOtherVariant(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Accepted(hosttest.Article))
		for _, f := range rules.Families() { // as if somebody had taken only these out
			hosttest.Put(t, variant, f, "*nat\nCOMMIT\n")
		}
		host.Variant = variant.Other()
		if differ := lines(status(t, host)); !slices.Contains(differ, fmt.Sprintf("ipv4 filter: the %s variant holds rules of natspread, too: packets meet both", variant)) {
			t.Errorf("%q", differ)
		}
		if result := apply(t, host, hosttest.Accepted(hosttest.Article)); !result.Cleared {
			t.Errorf("%+v", result)
		}
		for _, f := range rules.Families() {
			hosttest.WantSame(t, "the filter table of the other variant", hosttest.EmptyFilter, hosttest.SaveFilter(t, variant, f))
		}
		hosttest.WantLoaded(t, host.Variant, hosttest.Accepted(hosttest.Article))
	})
}
