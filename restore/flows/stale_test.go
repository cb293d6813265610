package flows

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// trackedLines lists the entries of both families in the form of netnstest.Track, in order.
func trackedLines(t testing.TB) []string {
	t.Helper()
	var lines []string
	for _, family := range rules.Families() {
		err := Each(t.Context(), family, func(e Entry) {
			lines = append(lines, strings.Join([]string{e.Protocol.String(), e.OrigSrc.String(), e.OrigDst.String(), e.ReplySrc.String()}, " "))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(lines)
	return lines
}

// shortened returns lines of netnstest.Track as trackedLines has them.
func shortened(lines []string) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = strings.Join(strings.Fields(line)[:4], " ")
	}
	slices.Sort(all)
	return all
}

// virtualService returns one: "tcp 192.0.2.10 80 80" is protocol, address or "*", and the
// ends of the ports.
func virtualService(protocol, address string, first, last uint16, reset bool, backends ...string) rules.VirtualService {
	made := rules.VirtualService{Protocol: protocol, Ports: rules.Ports{First: first, Last: last}, Reset: reset}
	if address != "*" {
		made.Address = netip.MustParseAddr(address)
	}
	for _, backend := range backends {
		made.Backends = append(made.Backends, netip.MustParseAddrPort(backend))
	}
	return made
}

// TestDeleteStale has real entries of every kind, of which just those go that a change
// of the services makes stale.
func TestDeleteStale(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\naddr add 2001:db8::10/128 dev lo nodad\nroute add local 198.51.100.0/24 dev lo\n", "ip", "-batch", "-")
	const drain, reset = false, true
	before := []rules.VirtualService{
		virtualService("udp", "192.0.2.10", 80, 80, drain, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"),
		virtualService("tcp", "192.0.2.10", 80, 80, drain, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("tcp", "192.0.2.10", 81, 81, drain, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("tcp", "192.0.2.10", 82, 82, reset, "10.0.0.1:80"),
		virtualService("tcp", "192.0.2.10", 83, 83, drain, "10.0.0.1:80"),
		virtualService("sctp", "192.0.2.10", 80, 80, reset, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("sctp", "192.0.2.10", 81, 81, reset, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("udp", "192.0.2.10", 8000, 8010, drain, "10.0.0.1:0"),
		virtualService("udp", "*", 53, 53, drain, "10.0.0.1:53"),
		virtualService("udp", "*", 54, 54, drain, "10.0.0.1:0"),
		virtualService("udp", "2001:db8::10", 80, 80, drain, "[fd00::1]:80", "[fd00::2]:80"),
	}
	after := []rules.VirtualService{
		virtualService("udp", "192.0.2.10", 80, 80, drain, "10.0.0.3:80", "10.0.0.2:80"),
		virtualService("tcp", "192.0.2.10", 80, 80, drain, "10.0.0.2:80"),
		virtualService("tcp", "192.0.2.10", 81, 81, reset, "10.0.0.2:80"),
		virtualService("sctp", "192.0.2.10", 80, 80, reset, "10.0.0.2:80"),
		virtualService("sctp", "192.0.2.10", 81, 81, reset, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("udp", "192.0.2.10", 8005, 8010, drain, "10.0.0.1:0"),
		virtualService("udp", "192.0.2.10", 53, 53, drain, "10.0.0.1:53"),
		virtualService("udp", "*", 54, 54, drain, "10.0.0.1:54"),
		virtualService("udp", "2001:db8::10", 80, 80, drain, "[fd00::2]:80"),
	}
	stays := []string{
		"udp 192.0.2.99:1001 192.0.2.10:80 10.0.0.2:80",     // still there
		"udp 192.0.2.99:1002 192.0.2.10:80 10.0.0.1:81",     // nobody's of ours
		"udp 192.0.2.99:1003 192.0.2.10:80 10.0.0.9:80",     // nobody's of ours
		"udp 192.0.2.99:1004 192.0.2.11:80 10.0.0.1:80",     // an address that was never ours
		"tcp 192.0.2.99:1001 192.0.2.10:80 10.0.0.1:80",     // drains
		"tcp 192.0.2.99:1002 192.0.2.10:81 10.0.0.2:80",     // still there
		"tcp 192.0.2.99:1003 192.0.2.10:83 10.0.0.1:80",     // the whole service drains
		"sctp 192.0.2.99:1001 192.0.2.10:80 10.0.0.2:80",    // still there
		"sctp 192.0.2.99:1002 192.0.2.10:81 10.0.0.1:80",    // the neighbour at the same backend
		"udp 192.0.2.99:1005 192.0.2.10:8005 10.0.0.1:8005", // the port is kept
		"udp 192.0.2.99:1006 192.0.2.10:8004 10.0.0.1:8005", // it was not kept: nobody's of ours
		"udp 192.0.2.99:1007 192.0.2.10:53 10.0.0.1:53",     // "*" became this address
		"udp 192.0.2.99:1008 192.0.2.200:53 10.0.0.1:53",    // passes through: "*" is not it
		"udp 192.0.2.99:1009 198.51.100.7:54 10.0.0.1:54",   // a port that was kept is now given
		"udp [2001:db8::99]:1001 [2001:db8::10]:80 [fd00::2]:80",
		"udp 192.0.2.99:1010 192.0.2.10:80 192.0.2.10:80", // without a table nothing is missed
		// The backend was the first to speak here.
		"udp 10.0.0.2:80 192.0.2.98:1011 192.0.2.98:1011 192.0.2.10:80", // still there
		"tcp 10.0.0.1:80 192.0.2.98:1012 192.0.2.98:1012 192.0.2.10:80", // drains
		"tcp 10.0.0.1:80 192.0.2.98:1013 192.0.2.98:1013 192.0.2.77:82", // another address
		"udp 10.0.0.1:54 192.0.2.98:1014 192.0.2.98:1014 192.0.2.10:54", // masqueraded: no "*" has takeover
	}
	goes := []string{
		"udp 192.0.2.99:2001 192.0.2.10:80 10.0.0.1:80",
		"tcp 192.0.2.99:2001 192.0.2.10:81 10.0.0.1:80", // as the new config says
		"tcp 192.0.2.99:2002 192.0.2.10:82 10.0.0.1:80", // as the old one said
		"sctp 192.0.2.99:2001 192.0.2.10:80 10.0.0.1:80",
		"udp 192.0.2.99:2002 192.0.2.10:8004 10.0.0.1:8004",
		"udp 192.0.2.99:2003 198.51.100.7:53 10.0.0.1:53", // "*", by a prefix that is local
		"udp [2001:db8::99]:2001 [2001:db8::10]:80 [fd00::1]:80",
		"udp 10.0.0.1:80 192.0.2.98:2004 192.0.2.98:2004 192.0.2.10:80",
		"tcp 10.0.0.1:80 192.0.2.98:2005 192.0.2.98:2005 192.0.2.10:81",
		"udp [fd00::1]:80 [2001:db8::98]:2006 [2001:db8::98]:2006 [2001:db8::10]:80",
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(stays, goes)...)
	begun := []string{ // picked up, of which the other end has said nothing here so far: they are open
		"tcp 192.0.2.99:4001 192.0.2.10:80 10.0.0.1:80",
		"tcp 10.0.0.1:80 192.0.2.98:4002 192.0.2.98:4002 192.0.2.10:80",
	}
	netnstest.Track(t, nl.TCP_CONNTRACK_ESTABLISHED, begun...)
	stays = append(stays, begun...)
	waits := []string{
		"tcp 192.0.2.99:3001 192.0.2.10:80 10.0.0.2:80", // still there
		"tcp 192.0.2.99:3002 192.0.2.10:80 10.0.0.9:80", // nobody's of ours
	}
	unanswered := []string{
		"tcp 192.0.2.99:3003 192.0.2.10:80 10.0.0.1:80", // its next SYN reaches another backend
		"tcp 192.0.2.99:3004 192.0.2.10:83 10.0.0.1:80", // of a service that is gone
	}
	netnstest.Track(t, nl.TCP_CONNTRACK_SYN_SENT, slices.Concat(waits, unanswered)...)
	stays, goes = append(stays, waits...), append(goes, unanswered...)
	change := Change{Tables: rules.NoTables(), Before: NewIndex(before), After: NewIndex(after)}
	if deleted, err := change.DeleteStale(t.Context()); err != nil || deleted != len(goes) {
		t.Errorf("%d deleted, %v; want %d", deleted, err, len(goes))
	}
	if diff := cmp.Diff(shortened(stays), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}

// TestDeleteStaleUnknown has tables whose services nobody knows in the place of which others
// were loaded: just the datagram flows go that those tables can have made.
func TestDeleteStaleUnknown(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\naddr add 2001:db8::10/128 dev lo nodad\n", "ip", "-batch", "-")
	unknown := hosttest.Tables(t, `
[[service]]
name = "dns"
protocol = ["tcp", "udp"]
listen = ["192.0.2.10:53", "*:5000-5010"]
backends = ["10.0.0.1", "10.0.0.2"]

[[service]]
name = "dns6"
protocol = "udp"
listen = "[2001:db8::10]:53"
on_remove = "reset"
backends = ["[fd00::1]:53"]

[[service]]
name = "push"
protocol = "udp"
listen = "192.0.2.10:90"
snat = "none"
takeover = true
backends = ["10.0.0.1:9000"]
`)
	stays := []string{
		"tcp 192.0.2.99:1001 192.0.2.10:53 10.0.0.1:53",     // a stream
		"udp 192.0.2.99:1001 192.0.2.10:53 192.0.2.10:53",   // nobody translated it
		"udp 192.0.2.99:1002 192.0.2.10:54 10.0.0.1:54",     // another port
		"udp 192.0.2.99:1003 192.0.2.11:53 10.0.0.1:53",     // another address
		"udp 192.0.2.99:1004 192.0.2.77:5005 10.0.0.1:5005", // passes through: "*" is not it
		"udp [2001:db8::99]:1001 [2001:db8::10]:54 [fd00::1]:54",
		"udp 10.0.0.1:9001 192.0.2.98:1005 192.0.2.98:1005 192.0.2.10:90", // masqueraded
		"udp 10.0.0.2:9000 192.0.2.98:1006 192.0.2.98:1006 192.0.2.10:90",
	}
	goes := []string{
		"udp 192.0.2.99:2001 192.0.2.10:53 10.0.0.1:53",
		"udp 192.0.2.99:2002 192.0.2.10:53 10.0.0.9:53", // to whomever
		"udp 192.0.2.99:2003 192.0.2.10:5005 10.0.0.2:5005",
		"udp [2001:db8::99]:2001 [2001:db8::10]:53 [fd00::1]:53",
		"udp 10.0.0.1:9000 192.0.2.98:2004 192.0.2.98:2004 192.0.2.10:90",
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(stays, goes)...)
	change := Change{Tables: rules.NoTables(), Unknown: unknown}
	if deleted, err := change.DeleteStale(t.Context()); err != nil || deleted != len(goes) {
		t.Errorf("%d deleted, %v; want %d", deleted, err, len(goes))
	}
	if diff := cmp.Diff(shortened(stays), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}

// TestDeleteStaleMissed loads takeover where a backend speaks already over UDP: what left with its
// own address goes, so that the next datagram leaves with the service's.
func TestDeleteStaleMissed(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	stays := []string{
		"udp 10.0.0.1:9000 192.0.2.98:1001 192.0.2.98:1001 192.0.2.10:90", // as the rules have it
		"udp 10.0.0.1:9001 192.0.2.98:1002",
		"tcp 10.0.0.1:9000 192.0.2.98:1003",
		"udp 10.0.0.1:9000 192.0.2.98:1004 192.0.2.98:1004 192.0.2.254:9000", // somebody's
	}
	goes := "udp 10.0.0.1:9000 192.0.2.98:2001"
	untranslated := func(line string) string {
		if words := strings.Fields(line); len(words) == 3 {
			return line + " " + words[2]
		}
		return line
	}
	for i := range stays {
		stays[i] = untranslated(stays[i])
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, append(stays[:len(stays):len(stays)], untranslated(goes))...)
	tables := hosttest.Tables(t, `
[[service]]
name = "push"
protocol = ["udp", "tcp"]
listen = "192.0.2.10:90"
snat = "none"
takeover = true
backends = ["10.0.0.1:9000"]
`)
	if deleted, err := (Change{Tables: tables}).DeleteStale(t.Context()); err != nil || deleted != 1 {
		t.Errorf("%d deleted, %v", deleted, err)
	}
	if diff := cmp.Diff(shortened(stays), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}

// TestConntrackError tells missing rights and a missing module by the kernel's
// errors, which callers turn into exit codes.
func TestConntrackError(t *testing.T) {
	for failed, want := range map[error]error{
		unix.EPERM:           program.ErrNoRights,
		unix.EINVAL:          program.ErrMissing, // of nfnetlink for a subsystem that is not there
		unix.EPROTONOSUPPORT: program.ErrMissing, // of socket(2) without nfnetlink
		unix.ENOBUFS:         unix.ENOBUFS,
	} {
		if got := conntrackError(failed); !errors.Is(got, want) || !errors.Is(got, failed) {
			t.Errorf("%v is %v, not %v", failed, got, want)
		}
	}
}
