package restore_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// foreignFilter is what Docker, ufw and people leave in a filter table whose FORWARD
// drops, with counters.
const foreignFilter = `*filter
:INPUT DROP [3:180]
:FORWARD DROP [12:720]
:OUTPUT ACCEPT [7:420]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-forward - [0:0]
[5:300] -A FORWARD -j DOCKER-USER
[4:240] -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[3:181] -A FORWARD -j ufw-before-forward
[2:120] -A FORWARD -m conntrack --ctstate DNAT -m comment --comment natspread -j LOG
[1:60] -A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
[6:360] -A DOCKER-USER -j RETURN
[7:420] -A ufw-before-forward -p udp -m conntrack --ctstate DNAT -j DROP
COMMIT
`

// putForeignFilter loads those rules in both families.
func putForeignFilter(t *testing.T, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, foreignFilter, "-c")
	}
}

// policyCounters are those of the built-in chains. The legacy variant sets them to zero
// in every change that anybody makes to a table, see iptables -A.
var policyCounters = regexp.MustCompile(`(?m)^(:[A-Z]+ \S+) \[.*\]$`)

// ownFilter are the lines of a saved filter table that are natspread's.
var ownFilter = regexp.MustCompile(`(?m)^(:NATSPREAD-.*|(\[\d+:\d+\] )?-A (NATSPREAD-|FORWARD .*-j NATSPREAD-).*)\n`)

// filters returns both families' filter tables with counters, as far as those stay.
func filters(t *testing.T, variant rules.Variant) string {
	t.Helper()
	return counted(variant, hosttest.SaveFilter(t, variant, rules.IPv4)+hosttest.SaveFilter(t, variant, rules.IPv6))
}

// counted returns tables without the counters that a variant does not keep.
func counted(variant rules.Variant, tables string) string {
	if variant == rules.Legacy {
		return policyCounters.ReplaceAllString(tables, "$1")
	}
	return tables
}

// TestForwardAccept asks for accepts beside other rules, changes them, and gives them
// up: nobody else's rule, chain, counter or policy changes, and what no service asks for
// is left to FORWARD as it was found.
func TestForwardAccept(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		putForeignFilter(t, variant)
		before := filters(t, variant)
		apply(t, host, hosttest.Article)
		hosttest.WantSame(t, "the filter tables without accepts", before, filters(t, variant))
		for _, step := range []struct {
			toml, says string
			place      int // of the jump: last, or before a chain that drops what a service has
		}{
			{hosttest.Accepted(hosttest.Article), "accepts", 5},
			{hosttest.Accepted(hosttest.Article) + strings.Replace(hosttest.Accepted(hosttest.Alone), "192.0.2.10:53", "*:53", 1), "one more, by its backends", 3},
			{hosttest.Accepted(hosttest.Smaller), "as at first", 5},
		} {
			if result := apply(t, host, step.toml); !result.Loaded || !result.Changed {
				t.Errorf("%s: %+v", step.says, result)
			}
			hosttest.WantLoaded(t, variant, step.toml)
			hosttest.WantSame(t, "what is not natspread's, "+step.says, before, ownFilter.ReplaceAllString(filters(t, variant), ""))
			if place := jumpPlace(t, variant, rules.IPv4); place != step.place {
				t.Errorf("%s: the jump in FORWARD is rule %d, want %d", step.says, place, step.place)
			}
			if result := apply(t, host, step.toml); result.Changed {
				t.Errorf("%s, again: %+v", step.says, result)
			}
			wantInSync(t, host)
		}
		apply(t, host, hosttest.Smaller)
		hosttest.WantSame(t, "the filter tables, with accepts given up", before, filters(t, variant))

		apply(t, host, hosttest.Accepted(hosttest.Smaller))
		_, err := host.Stop(t.Context())
		hosttest.Must(t, err)
		hosttest.WantSame(t, "the filter tables after stop", before, filters(t, variant))
	})
}

// jumpPlace returns the place of the first jump in FORWARD, from 1, and 0 where there is none.
func jumpPlace(t *testing.T, variant rules.Variant, f rules.Family) int {
	t.Helper()
	place := 0
	for line := range strings.Lines(hosttest.SaveFilter(t, variant, f)) {
		if _, rule, found := strings.Cut(line, "-A FORWARD "); found {
			if place++; strings.HasSuffix(rule, "-j NATSPREAD-FORWARD\n") {
				return place
			}
		}
	}
	return 0
}

// TestForwardMadeOtherwise applies the same config with other accepts, as another natspread
// may make of it: that is a change like any other.
func TestForwardMadeOtherwise(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Accepted(hosttest.Article))
		otherwise := request(t, hosttest.Accepted(hosttest.Article))
		otherwise.Tables.FilterIPv4.Chains[0].Rules[0].OriginalPorts = rules.Ports{First: 80, Last: 81}
		result, err := host.Apply(t.Context(), otherwise)
		if hosttest.Must(t, err); !result.Changed || result.Generation != 2 {
			t.Errorf("%+v", result)
		}
		if saved := hosttest.SaveFilter(t, variant, rules.IPv4); !strings.Contains(saved, "--ctorigdstport 80:81 -j NATSPREAD-web") {
			t.Errorf("the kernel holds\n%s", saved)
		}
	})
}

// TestForwardLeave makes no filter table where no service asks for accepts, and gets on
// with one that iptables cannot read.
func TestForwardLeave(t *testing.T) {
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
		if all := hosttest.Everything(t, variant); strings.Contains(all, "*filter") {
			t.Errorf("a filter table came to be:\n%s", all)
		}
		if variant == rules.Legacy {
			return
		}
		for _, c := range []struct{ more, says string }{{"", "ipv4 filter rules"}, {"\tchain other {\n\t\tct mark 1 accept\n\t}\n", "cannot read the filter table: it holds rules of nft's own"}} {
			native := "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority 10; policy drop;\n\t}\n" + c.more + "}\n"
			netnstest.Self().Command(t, native, "nft", "-f", "-")
			before := netnstest.Self().Command(t, "", "nft", "list", "table", "ip", "filter")
			everyVerb()
			was := state(t, host)
			_, err := host.Apply(t.Context(), request(t, hosttest.Accepted(hosttest.Article)))
			wantUnchanged(t, host, was, err, nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			hosttest.WantSame(t, "the native table", before, netnstest.Self().Command(t, "", "nft", "list", "table", "ip", "filter"))
		}
	})
}

// TestForwardConnections drops everything in FORWARD, and connects: to what is accepted,
// also by an address that "*" stands for, both ways and with its ICMP errors; to what is
// not, to what somebody else translated to the same backend, and to the backend itself.
func TestForwardConnections(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, f int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		for _, port := range []int{80, 81, 82} {
			n.Serve(t, network, f, port)
		}
		routeBack(t, n)
		host := newHost(t, variant)
		hosttest.IPTablesOn(t, variant, families[f], rules.Filter, "-P FORWARD DROP")
		vip := func(port int) string { return at(netnstest.VIP(f), port) }
		one := func(port int, forward string, lines ...string) string {
			text := service(fmt.Sprint("s", port), f, port, 1, append(lines, `snat = "none"`)...)
			return text + fmt.Sprintf("forward = %q\n", forward)
		}
		any := one(82, "accept", `listen = "*:82"`)
		gone := one(83, "accept") // nobody listens there
		client := netnstest.ClientAddr(f, 0)

		apply(t, host, one(80, "leave"))
		wantSilence(t, n.Client, network, vip(80))
		apply(t, host, one(80, "accept")+one(81, "leave")+any+gone)
		wantAnswer(t, n.Client, network, vip(80), at(backend(f, 0), 80), client)
		wantAnswer(t, n.Client, network, vip(82), at(backend(f, 0), 82), client)
		wantRefused(t, n.Client, network, vip(83))
		other := at(netnstest.VIP(f).Next(), 80)
		hosttest.IPTables(t, variant, families[f], fmt.Sprintf("-I PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s", netnstest.VIP(f).Next(), network, at(backend(f, 0), 80)))
		n.Client.Command(t, "", "ip", "route", "add", netnstest.VIP(f).Next().String(), "via", netnstest.VIP(f).String())
		wantSilence(t, n.Client, network, vip(81), at(backend(f, 0), 80), other)
		// What others lead from there to another port, or to a machine that is no backend.
		for _, to := range []string{at(backend(f, 0), 81), at(backend(f, 1), 80)} {
			elsewhere := fmt.Sprintf(" PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s", netnstest.VIP(f), network, to)
			hosttest.IPTables(t, variant, families[f], "-I"+elsewhere)
			wantSilence(t, n.Client, network, vip(80))
			hosttest.IPTables(t, variant, families[f], "-D"+elsewhere)
		}
		wantAnswer(t, n.Client, network, vip(80), at(backend(f, 0), 80), client)

		apply(t, host, one(80, "leave")+any)
		wantSilence(t, n.Client, network, vip(80))
		wantAnswer(t, n.Client, network, vip(82), at(backend(f, 0), 82), client)
	})
}
