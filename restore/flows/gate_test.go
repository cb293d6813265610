package flows

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// TestDeleteStaleTogether has entries of services with one listen address, which their backends tell
// apart: UDP goes whose client is another service's, or nobody's, and stays with a service that an
// interface alone tells apart.
func TestDeleteStaleTogether(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\n", "ip", "-batch", "-")
	const before = `
[[service]]
name = "one"
protocol = ["udp", "tcp"]
listen = "192.0.2.10:80"
allow = ["198.51.100.0/24"]
on_remove = "reset"
backends = ["10.0.0.1:80", "10.0.0.9:80"]
[[service]]
name = "two"
protocol = ["udp", "tcp"]
listen = "192.0.2.10:80"
allow = ["203.0.113.0/24"]
local = false
backends = ["10.0.0.2:80", "10.0.0.8:80"]
[[service]]
name = "inside"
protocol = "udp"
listen = "192.0.2.10:53"
interface = "eth1"
allow = ["198.51.100.0/24"]
backends = ["10.0.0.1:53"]
[[service]]
name = "outside"
protocol = "udp"
listen = "192.0.2.10:53"
interface = "eth0"
local = false
backends = ["10.0.0.2:53"]
`
	after := strings.NewReplacer(`, "10.0.0.9:80"`, "", `, "10.0.0.8:80"`, "").Replace(before)
	stays := []string{
		"udp 198.51.100.8:1001 192.0.2.10:80 10.0.0.1:80",
		"udp 203.0.113.8:1002 192.0.2.10:80 10.0.0.2:80",
		"tcp 198.51.100.8:1003 192.0.2.10:80 10.0.0.2:80", // of two, which lets it go on
		"tcp 203.0.113.8:1004 192.0.2.10:80 10.0.0.8:80",  // so does this
		"udp 198.51.100.8:1005 192.0.2.10:53 10.0.0.1:53",
		"udp 203.0.113.8:1006 192.0.2.10:53 10.0.0.2:53",
		"udp 192.0.2.10:1007 192.0.2.10:80 10.0.0.1:80", // made on the host
	}
	goes := []string{
		"udp 198.51.100.8:2001 192.0.2.10:80 10.0.0.2:80", // changed sides
		"udp 203.0.113.8:2002 192.0.2.10:80 10.0.0.1:80",
		"udp 192.0.2.99:2003 192.0.2.10:80 10.0.0.1:80", // of nobody
		"tcp 203.0.113.8:2004 192.0.2.10:80 10.0.0.1:80",
		"udp 203.0.113.8:2005 192.0.2.10:53 10.0.0.1:53",
		"tcp 198.51.100.8:2006 192.0.2.10:80 10.0.0.9:80", // its backend is gone
		"udp 203.0.113.8:2007 192.0.2.10:80 10.0.0.8:80",
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(stays, goes)...)
	services := hosttest.Services(t, before)
	change := Change{Tables: hosttest.Tables(t, after), Before: NewIndex(services), After: NewIndex(hosttest.Services(t, after))}
	counts, err := CountConnections(t.Context(), services)
	if diff := cmp.Diff([][]int{{4, 0}, {1, 1}, {2, 1}, {1, 1}, {2}, {1}}, counts); diff != "" || err != nil {
		t.Errorf("%v: counted, want -, got +:\n%s", err, diff)
	}
	if deleted, err := change.DeleteStale(t.Context()); err != nil || deleted != len(goes) {
		t.Errorf("%d deleted, %v", deleted, err)
	}
	if diff := cmp.Diff(shortened(stays), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}

// TestDeleteStaleGate has entries of clients whom services serve, and of others: of these UDP goes
// that does not say so, and TCP where on_remove says so.
func TestDeleteStaleGate(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\naddr add 2001:db8::10/128 dev lo nodad\n", "ip", "-batch", "-")
	const toml = `
[[service]]
name = "one"
protocol = ["udp", "tcp"]
listen = "192.0.2.10:80"
allow = ["198.51.100.0/24"]
deny = ["198.51.100.7"]
backends = ["10.0.0.1:80"]
[[service]]
name = "two"
protocol = ["udp", "tcp"]
listen = "192.0.2.10:81"
deny = ["203.0.113.0/24"]
refused = "host"
on_remove = "reset"
backends = ["10.0.0.1:80"]
[[service]]
name = "six"
protocol = "udp"
listen = "*:80"
allow = ["2001:db8:1::/48"]
backends = ["[fd00::1]:80"]
`
	stays := []string{
		"udp 198.51.100.8:1001 192.0.2.10:80 10.0.0.1:80",
		"tcp 203.0.113.1:1002 192.0.2.10:80 10.0.0.1:80", // goes on
		"udp 198.51.100.7:1003 192.0.2.10:81 10.0.0.1:80",
		"udp 203.0.113.1:1004 192.0.2.10:81 192.0.2.10:81", // at the host
		"udp 192.0.2.10:1005 192.0.2.10:80 10.0.0.1:80",    // made on the host
		"tcp 198.51.100.7:1006 192.0.2.10:81 10.0.0.1:80",
		"udp [2001:db8:1::1]:1007 [2001:db8::10]:80 [fd00::1]:80",
		"udp [2001:db8:2::1]:1008 [2001:db8:ffff::10]:80 [fd00::1]:80", // passes through
	}
	goes := []string{
		"udp 203.0.113.1:2001 192.0.2.10:80 10.0.0.1:80",
		"udp 198.51.100.7:2002 192.0.2.10:80 10.0.0.1:80",
		"udp 198.51.100.7:2003 192.0.2.10:80 192.0.2.10:80", // at the host
		"udp 203.0.113.1:2004 192.0.2.10:81 10.0.0.1:80",
		"tcp 203.0.113.1:2005 192.0.2.10:81 10.0.0.1:80",
		"udp 203.0.113.1:2007 192.0.2.10:81 192.0.2.10:0", // was refused, and is for the host now
		"udp [2001:db8:2::1]:2006 [2001:db8::10]:80 [fd00::1]:80",
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(stays, goes)...)
	index := NewIndex(hosttest.Services(t, toml))
	change := Change{Tables: hosttest.Tables(t, toml), Before: index, After: index, Spare: true}
	last := goes[4] // a load that may be reverted spares it
	if deleted, err := change.DeleteStale(t.Context()); err != nil || deleted != len(goes)-1 {
		t.Errorf("%d deleted, %v", deleted, err)
	}
	if diff := cmp.Diff(shortened(append(stays[:len(stays):len(stays)], last)), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
	change.Spare = false
	if deleted, err := change.DeleteStale(t.Context()); err != nil || deleted != 1 {
		t.Errorf("%d deleted, %v", deleted, err)
	}
	if !change.Tables.Of(rules.IPv4).Gated() || rules.NoTables().IPv4.Gated() {
		t.Error("it is not known which tables have gates")
	}
}
