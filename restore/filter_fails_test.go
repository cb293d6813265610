package restore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
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

// TestPartOrder asks that what lets connections through is loaded last and taken out first, and that what
// makes segments shorter stands as long as the rules that it is for do, each table in a transaction of its
// own.
func TestPartOrder(t *testing.T) {
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
			{applying(hosttest.Clamped(hosttest.Accepted(hosttest.Article))), []string{"ipv4 mangle", "ipv6 mangle", "ipv4", "ipv6", "ipv4 filter", "ipv6 filter"}},
			{applying(hosttest.Smaller), []string{"ipv4 filter", "ipv6 filter", "ipv4", "ipv6", "ipv4 mangle", "ipv6 mangle"}},
			{applying(hosttest.Clamped(hosttest.Smaller)), []string{"ipv4 mangle", "ipv6 mangle"}},
			{stop, []string{"ipv4", "ipv6", "ipv4 mangle", "ipv6 mangle"}},
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

// TestPartFails lets each transaction fail, and asks that all is as it was: no accept without the rules
// that it is for, and no rules without the parts that were asked for.
func TestPartFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		to := strings.ReplaceAll(hosttest.Clamped(hosttest.Accepted(hosttest.Article)), ":80", ":81")
		for i, from := range []string{"", hosttest.Article, hosttest.Accepted(hosttest.Alone), hosttest.Clamped(hosttest.Smaller)} {
			host := newHost(t, variant)
			for _, p := range []part{filterPart(), manglePart()} {
				p.reboot(t, variant)
				p.putForeign(t, variant)
			}
			if from != "" {
				apply(t, host, from)
			}
			before := counted(variant, state(t, host))
			for j, fails := range []string{
				"ipv4", "ipv6", "ipv4 filter", "ipv6 filter", "ipv4 mangle", "ipv6 mangle",
				"ipv4 filter, emptied", "ipv6 filter, emptied", "ipv4 mangle, emptied", "ipv6 mangle, emptied",
			} {
				if !testsize.Takes(i+j, 4) {
					continue
				}
				t.Run(fmt.Sprintf("%d/%s", len(from), fails), func(t *testing.T) {
					which, _, emptied := strings.Cut(fails, ",")
					failing := host
					var order []string
					failing.Run = loads(t, host.Run, &order, which, emptied)
					_, err := failing.Apply(t.Context(), request(t, to))
					if err == nil || !strings.HasSuffix(err.Error(), "; nothing was changed") || !strings.Contains(err.Error(), which+" rules") {
						t.Errorf("the error is %v", err)
					}
					hosttest.WantSame(t, "the state", before, counted(variant, state(t, host)))
				})
			}
			apply(t, host, to) // and nothing stands in its way
			hosttest.WantLoaded(t, variant, to)
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
