package restore_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/flows"
)

// spread are services of the protocols of a backend that goes down, beside a neighbour that
// stays there.
const spread = `
[[service]]
name     = "web"
protocol = ["tcp", "udp", "sctp"]
listen   = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name     = "other"
protocol = ["tcp", "udp"]
listen   = "192.0.2.10:81"
backends = ["10.0.0.2:80"]

[[service]]
name     = "web6"
protocol = ["tcp", "udp"]
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80"]
`

// freed says what an overlay with the second backends out changes, with or without on_down
// reset. Services that stay as they are may stand in it, too.
func freed(t testing.TB, before, after string, reset bool) restore.Freed {
	t.Helper()
	made := restore.Freed{Before: used(t, before), After: used(t, after)}
	for i := range made.After {
		made.After[i].Reset = reset
	}
	return made
}

// used returns what a config spreads connections to: drained backends get none.
func used(t testing.TB, toml string) []rules.VirtualService {
	t.Helper()
	var services []rules.VirtualService
	drained := map[string]bool{}
	for _, s := range hosttest.Config(t, toml).Services {
		for _, b := range s.Backends {
			drained[s.Name+" "+b.String()] = b.Drained()
		}
	}
	for _, s := range hosttest.Services(t, toml) {
		name := s.Service
		s.Backends = slices.DeleteFunc(s.Backends, func(b netip.AddrPort) bool { return drained[name+" "+b.String()] })
		if len(s.Backends) > 0 {
			services = append(services, s)
		}
	}
	return services
}

// tracking returns all entries, in order, in the form of netnstest.Track.
func tracking(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, family := range rules.Families() {
		hosttest.Must(t, flows.Each(t.Context(), family, func(e flows.Entry) {
			line := strings.Join([]string{e.Protocol.String(), e.OrigSrc.String(), e.OrigDst.String(), e.ReplySrc.String()}, " ")
			if e.ReplyDst != e.OrigSrc {
				line += " " + e.ReplyDst.String()
			}
			all = append(all, line)
		}))
	}
	slices.Sort(all)
	return all
}

// entriesOf returns an entry of each kind that goes to a backend, and the ports of its clients
// begin with a digit.
func entriesOf(digit int, backend, backend6 string) map[string][]string {
	line := func(protocol string, port int, asked, to string) string {
		client := "198.51.100.7"
		if strings.HasPrefix(asked, "[") {
			client = "[2001:db8:1::7]"
		}
		return fmt.Sprintf("%s %s:%d%d %s %s", protocol, client, digit, port, asked, to)
	}
	begun := func(protocol string, port int) string { // by the backend: another balancer had it
		return fmt.Sprintf("%s %s 198.51.100.7:%d%d 198.51.100.7:%[3]d%[4]d 192.0.2.10:80", protocol, backend, digit, port)
	}
	return map[string][]string{
		"open":  {line("tcp", 1001, "192.0.2.10:80", backend), line("tcp", 1001, "[2001:db8::10]:80", backend6), begun("tcp", 1007)},
		"new":   {line("tcp", 1002, "192.0.2.10:80", backend), line("tcp", 1002, "[2001:db8::10]:80", backend6)},
		"udp":   {line("udp", 1003, "192.0.2.10:80", backend), line("udp", 1003, "[2001:db8::10]:80", backend6), begun("udp", 1008)},
		"sctp":  {line("sctp", 1004, "192.0.2.10:80", backend)},
		"other": {line("tcp", 1005, "192.0.2.10:81", "10.0.0.2:80"), line("udp", 1006, "192.0.2.10:81", "10.0.0.2:80")},
	}
}

// TestOverlayFrees has entries of every kind at a backend that goes down, and at one that does
// not: just those go that keep their clients from a living backend, or that on_down cuts.
func TestOverlayFrees(t *testing.T) {
	less := without(spread, second, second6)
	less = strings.Replace(less, `listen   = "192.0.2.10:81"`+"\n"+`backends = [{ address = "10.0.0.2:80", drain = true }]`, `listen   = "192.0.2.10:81"`+"\n"+`backends = ["10.0.0.2:80"]`, 1)
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for name, reset := range map[string]bool{"keep": false, "reset": true} {
			t.Run(name, func(t *testing.T) {
				host := newHost(t, variant)
				apply(t, host, spread)
				netnstest.ForgetConnections(t)
				stay, leave := entriesOf(1, "10.0.0.1:80", "[fd00::1]:80"), entriesOf(2, second, second6)
				for _, all := range []map[string][]string{stay, leave} {
					netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(all["open"], all["udp"], all["sctp"], all["other"])...)
					netnstest.Track(t, nl.TCP_CONNTRACK_SYN_SENT, all["new"]...)
				}
				want := slices.Concat(stay["open"], stay["new"], stay["udp"], stay["sctp"], stay["other"], leave["other"])
				gone := slices.Concat(leave["new"], leave["udp"])
				if reset {
					gone = slices.Concat(gone, leave["open"], leave["sctp"])
				} else {
					want = slices.Concat(want, leave["open"], leave["sctp"])
				}
				result, err := host.LoadOverlay(t.Context(), overlay(t, host, less), freed(t, spread, less, reset))
				hosttest.Must(t, err)
				if result.DeletedEntries != len(gone) || len(result.Notes) > 0 {
					t.Errorf("%d entries were deleted, want %d; %q", result.DeletedEntries, len(gone), result.Notes)
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, tracking(t)); diff != "" {
					t.Errorf("want -, left +:\n%s", diff)
				}
				result, err = host.LoadOverlay(t.Context(), up(t, host), freed(t, less, spread, reset))
				if err != nil || result.DeletedEntries != 0 {
					t.Errorf("up again: %+v, %v", result, err)
				}
			})
		}
	})
}
