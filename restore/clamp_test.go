package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// foreignMangle is what tools for policy routing, tunnels and quality of service leave in a mangle table,
// with counters.
const foreignMangle = `*mangle
:PREROUTING ACCEPT [3:180]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [12:720]
:OUTPUT ACCEPT [7:420]
:POSTROUTING ACCEPT [1:60]
:QOS - [0:0]
[5:300] -A PREROUTING -m conntrack --ctstate NEW -j MARK --set-xmark 0x1/0xff
[4:240] -A FORWARD -o ppp0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
[3:181] -A FORWARD -j QOS
[6:360] -A QOS -p udp -j DSCP --set-dscp 0x2e
COMMIT
`

// counters are those of a rule, as iptables-save prints them before it.
var counters = regexp.MustCompile(`(?m)^\[\d+:\d+\] `)

// rebootMangle makes the kernel what it is at boot, its mangle tables, too.
func rebootMangle(t *testing.T, variant rules.Variant) {
	t.Helper()
	hosttest.Boot(t, variant)
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, hosttest.EmptyMangle)
	}
}

// noted runs programs, and notes each with what it was given.
func noted(run program.Runner, lines *[]string) program.Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		*lines = append(*lines, fmt.Sprintf("%s %q %q", filepath.Base(name), args, stdin))
		return run(ctx, stdin, name, args...)
	}
}

// putForeignMangle loads those rules in both families.
func putForeignMangle(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, foreignMangle, "-c")
	}
}

// ownMangle are the lines of a saved mangle table that are natspread's.
var ownMangle = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|FORWARD .*-j NATSPREAD-).*)\n`)

// mangles returns both families' mangle tables with counters, as far as those stay.
func mangles(t *testing.T, variant rules.Variant) string {
	t.Helper()
	text := ""
	for _, f := range rules.Families() {
		text += hosttest.SaveTables(t, variant, f)[rules.Mangle]
	}
	return counted(variant, text)
}

// TestClampBesideOthers makes segments shorter beside other rules of the mangle table, changes that, and
// gives it up: nobody else's rule, chain, counter or policy changes, also with --exclusive.
func TestClampBesideOthers(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeignMangle(t, variant)
		before := mangles(t, variant)
		apply(t, host, hosttest.Article)
		hosttest.WantSame(t, "the mangle tables without clamp_mss", before, mangles(t, variant))
		for _, toml := range []string{
			hosttest.Clamped(hosttest.Article), strings.ReplaceAll(hosttest.Clamped(hosttest.Article), "clamp_mss = true", "clamp_mss = 1260"),
			hosttest.Clamped(hosttest.Accepted(strings.ReplaceAll(hosttest.Article, "192.0.2.10:80", "*:80"))), hosttest.Clamped(hosttest.Smaller),
		} {
			if result := apply(t, host, toml); !result.Loaded || !result.Changed {
				t.Errorf("%s\n%+v", toml, result)
			}
			hosttest.WantLoaded(t, variant, toml)
			hosttest.WantSame(t, "what is not natspread's", before, ownMangle.ReplaceAllString(mangles(t, variant), ""))
			if saved := hosttest.SaveTables(t, variant, rules.IPv4)[rules.Mangle]; !strings.Contains(counters.ReplaceAllString(saved, ""), "\n-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j NATSPREAD-MSS\n-A FORWARD -o ppp0 ") {
				t.Errorf("the jump is not the first rule, once:\n%s", saved)
			}
			if result := apply(t, host, toml); result.Changed {
				t.Errorf("again: %+v", result)
			}
			wantInSync(t, host)
		}
		_, err := host.Apply(t.Context(), exclusively(t, host, hosttest.Clamped(hosttest.Article)))
		hosttest.Must(t, err)
		hosttest.WantSame(t, "what is not natspread's, with --exclusive", before, ownMangle.ReplaceAllString(mangles(t, variant), ""))

		apply(t, host, hosttest.Smaller) // a generation without the key
		hosttest.WantSame(t, "the mangle tables, with clamp_mss given up", before, mangles(t, variant))
		if _, err := os.Stat(place(host, "current/mangle.v4")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file of it: %v", err)
		}
		apply(t, host, hosttest.Clamped(hosttest.Smaller))
		_, err = host.Stop(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "the mangle tables after stop", before, mangles(t, variant))
	})
}

// TestClampLeave makes no mangle table where no service asks for it, reads none of others, and gets on
// with one that iptables cannot read.
func TestClampLeave(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		everyVerb := func() {
			t.Helper()
			apply(t, host, hosttest.Article)
			apply(t, host, hosttest.Smaller)
			_, err := host.Restore(t.Context())
			hosttest.Must(t, err)
			_, err = host.Status(t.Context())
			hosttest.Must(t, err)
			_, err = host.Stop(t.Context())
			hosttest.Must(t, err)
		}
		everyVerb()
		if all := hosttest.Everything(t, variant); strings.Contains(all, "*mangle") {
			t.Errorf("a mangle table came to be:\n%s", all)
		}
		if variant == rules.Legacy {
			return
		}
		native := "table ip mangle {\n\tchain FORWARD {\n\t\ttype filter hook forward priority -150;\n\t}\n\tchain other {\n\t\tct mark 1 accept\n\t}\n}\n"
		netnstest.Self().Command(t, native, "nft", "-f", "-")
		before := netnstest.Self().Command(t, "", "nft", "list", "table", "ip", "mangle")
		everyVerb()
		was := state(t, host)
		_, err := host.Apply(t.Context(), request(t, hosttest.Clamped(hosttest.Article)))
		wantUnchanged(t, host, was, err, nil)
		if err == nil || !strings.Contains(err.Error(), "cannot read the mangle table: it holds rules of nft's own") {
			t.Errorf("the error is %v", err)
		}
		hosttest.WantSame(t, "the native table", before, netnstest.Self().Command(t, "", "nft", "list", "table", "ip", "mangle"))
	})
}

// TestClampReadsNothing counts the programs of a restore: without the key they are as many beside a
// mangle table of others as without one, but for the question of the legacy variant, which knows no
// other way, whether natspread has a chain there.
func TestClampReadsNothing(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		var programs [2][]string
		for i := range programs {
			counting := host
			counting.Run = noted(host.Run, &programs[i])
			hosttest.Boot(t, variant)
			_, err := counting.Restore(t.Context())
			hosttest.Must(t, err)
			putForeignMangle(t, variant)
		}
		more := slices.DeleteFunc(programs[1], func(line string) bool { return strings.Contains(line, "*mangle\\n-S FORWARD 1\\n-S NATSPREAD-MSS") })
		if asked := len(programs[1]) - len(more); !slices.Equal(programs[0], more) || asked != map[rules.Variant]int{rules.Legacy: 2}[variant] {
			t.Errorf("%q, and beside others %q", programs[0], programs[1])
		}
	})
}

// TestClampOrder asks that what makes segments shorter stands as long as the rules that it is for do,
// each table in a transaction of its own.
func TestClampOrder(t *testing.T) {
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
	})
}

// TestClampFails lets each transaction fail, and asks that all is as it was.
func TestClampFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, from := range []string{"", hosttest.Article, hosttest.Clamped(hosttest.Smaller)} {
			rebootMangle(t, variant)
			host := newHost(t, variant)
			putForeignMangle(t, variant)
			if from != "" {
				apply(t, host, from)
			}
			before := counted(variant, state(t, host))
			to := strings.NewReplacer("= true", "= 1260", ":80", ":81").Replace(hosttest.Clamped(hosttest.Accepted(hosttest.Article)))
			for _, fails := range []string{"ipv4", "ipv6 filter", "ipv4 mangle", "ipv6 mangle", "ipv4 mangle, emptied", "ipv6 mangle, emptied"} {
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
	})
}

// TestClampAtBoot restores it from files that are checked like the others, and a generation from before
// it, which has none, as ever; one that is damaged is not good.
func TestClampAtBoot(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Smaller)
		apply(t, host, hosttest.Clamped(hosttest.Article))
		rebootMangle(t, variant)
		result, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		if result.Generation != 2 {
			t.Errorf("%+v", result)
		}
		hosttest.WantLoaded(t, variant, hosttest.Clamped(hosttest.Article))

		file := filepath.Join(host.Root, "var/lib/natspread/generations/2/mangle.v4")
		content, err := os.ReadFile(file)
		hosttest.Must(t, err)
		for name, damage := range map[string]func() error{
			"lost": func() error { return os.Remove(file) },
			"altered": func() error {
				return os.WriteFile(file, []byte(strings.Replace(string(content), "80", "81", 1)), 0o600)
			},
			"another": func() error {
				return os.WriteFile(file, rules.EncodeFile(hosttest.Tables(t, hosttest.Clamped(strings.ReplaceAll(hosttest.Article, ":80", ":81"))).MangleIPv4), 0o600)
			},
			"everybody's": func() error { return os.Chmod(file, 0o666) },
		} {
			t.Run(name, func(t *testing.T) {
				hosttest.Must(t, damage())
				rebootMangle(t, variant)
				result, err := host.Restore(t.Context())
				if err == nil || result.Generation != 1 || !strings.Contains(err.Error(), "mangle.v4") {
					t.Errorf("%+v, %v", result, err)
				}
				hosttest.WantLoaded(t, variant, hosttest.Smaller)
				hosttest.Must(t, os.RemoveAll(file))
				hosttest.Must(t, os.WriteFile(file, content, 0o600))
			})
		}
	})
}

// TestClampOnTrial takes it back with all else, and keeps it when it is confirmed.
func TestClampOnTrial(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeignMangle(t, variant)
		apply(t, host, hosttest.Article)
		before := mangles(t, variant)
		try(t, host, hosttest.Clamped(hosttest.Article))
		hosttest.WantLoaded(t, variant, hosttest.Clamped(hosttest.Article))
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
		hosttest.WantSame(t, "the mangle tables", before, mangles(t, variant))

		try(t, host, hosttest.Clamped(hosttest.Article))
		hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Mangle, "-F NATSPREAD-MSS")
		if _, err := host.Confirm(t.Context()); err == nil {
			t.Error("confirmed what the kernel no longer holds")
		}
		_, err = host.Revert(t.Context())
		hosttest.Must(t, err)
		try(t, host, hosttest.Clamped(hosttest.Article))
		_, err = host.Confirm(t.Context())
		hosttest.Must(t, err)
		rebootMangle(t, variant)
		_, err = host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Clamped(hosttest.Article))
	})
}

// TestClampDrift says what became of it, and mends it.
func TestClampDrift(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Clamped(hosttest.Article))
		for _, c := range []struct{ line, difference string }{
			{"-F NATSPREAD-MSS", "ipv4 mangle: chain NATSPREAD-MSS is empty: it should have 1 rule"},
			{"-A NATSPREAD-MSS -j ACCEPT", "ipv4 mangle: chain NATSPREAD-MSS has rule 2, which should not be there: -j ACCEPT"},
			{"-D FORWARD 1", "ipv4 mangle: the jump in FORWARD is missing"},
			{"-A FORWARD -j NATSPREAD-MSS", "ipv4 mangle: the jump in FORWARD is doubled: rules 1 and 2"},
			{"-N NATSPREAD-old", "ipv4 mangle: chain NATSPREAD-old is left over"},
			{"-I FORWARD -s 203.0.113.9/32 -j ACCEPT", "ipv4: the jump in FORWARD of the mangle table is rule 2: the segments of a connection that a rule before it accepts do not become shorter"},
		} {
			hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Mangle, c.line)
			wantLine(t, host, c.difference)
			if result := apply(t, host, hosttest.Clamped(hosttest.Article)); !result.Loaded || result.Generation != 1 {
				t.Errorf("%s: %+v", c.line, result)
			}
			hosttest.WantLoaded(t, variant, hosttest.Clamped(hosttest.Article))
		}
		// What every packet gets past may stand before it, also when its chain changes, and stays there.
		hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Mangle, "-D FORWARD -s 203.0.113.9/32 -j ACCEPT")
		hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Mangle, "-I FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400")
		wantInSync(t, host)
		for _, toml := range []string{strings.ReplaceAll(hosttest.Clamped(hosttest.Article), "= true", "= 1260"), hosttest.Clamped(hosttest.Article)} {
			apply(t, host, toml)
			hosttest.WantLoaded(t, variant, toml)
			wantInSync(t, host)
			if saved := hosttest.SaveTables(t, variant, rules.IPv4)[rules.Mangle]; !strings.Contains(saved, "--set-mss 1400\n[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j NATSPREAD-MSS\n") {
				t.Errorf("the jump was moved:\n%s", saved)
			}
		}
		// What nothing asks for any more, and a kill left behind.
		apply(t, host, hosttest.Article)
		hosttest.Put(t, variant, rules.IPv6, string(hosttest.Tables(t, hosttest.Clamped(hosttest.Article)).MangleIPv6.Text()), "--noflush")
		wantLine(t, host, "ipv6 mangle: chain NATSPREAD-MSS is left over")
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Article)
	})
}

// TestClampInOtherVariant takes it out of the variant that is no longer in use.
func TestClampInOtherVariant(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Clamped(hosttest.Article))
		for _, f := range rules.Families() { // as if somebody had taken only these out
			hosttest.Put(t, variant, f, "*nat\nCOMMIT\n")
		}
		host.Variant = variant.Other()
		if differ := lines(status(t, host)); !slices.Contains(differ, fmt.Sprintf("ipv4 mangle: the %s variant holds rules of natspread, too: packets meet both", variant)) {
			t.Errorf("%q", differ)
		}
		if result := apply(t, host, hosttest.Clamped(hosttest.Article)); !result.Cleared {
			t.Errorf("%+v", result)
		}
		for _, f := range rules.Families() {
			hosttest.WantSame(t, "the mangle table of the other variant", hosttest.EmptyMangle, hosttest.SaveTables(t, variant, f)[rules.Mangle])
		}
		hosttest.WantLoaded(t, host.Variant, hosttest.Clamped(hosttest.Article))
	})
}

// TestClampPlainRestore loads the file of a generation by iptables-restore alone, beside the rules of
// others: that is all that natspread would load.
func TestClampPlainRestore(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Clamped(hosttest.Article))
		rebootMangle(t, variant)
		putForeignMangle(t, variant)
		before := mangles(t, variant)
		for f, name := range map[rules.Family]string{rules.IPv4: "mangle.v4", rules.IPv6: "mangle.v6"} {
			file, err := os.ReadFile(place(host, "current", name))
			hosttest.Must(t, err)
			hosttest.Put(t, variant, f, string(file), "-n")
			rulesFile, err := os.ReadFile(place(host, "current", strings.Replace(name, "mangle", "rules", 1)))
			hosttest.Must(t, err)
			hosttest.Put(t, variant, f, string(rulesFile))
		}
		hosttest.WantLoaded(t, variant, hosttest.Clamped(hosttest.Article))
		hosttest.WantSame(t, "what is not natspread's", before, ownMangle.ReplaceAllString(mangles(t, variant), ""))
	})
}
