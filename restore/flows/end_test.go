package flows

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestDeleteBackends ends what goes to one backend of a service, whichever end began it here: no
// connection of another backend, of another service there, or of the backend's own.
func TestDeleteBackends(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	services := []rules.VirtualService{
		virtualService("tcp", "192.0.2.10", 80, 80, false, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("udp", "192.0.2.10", 8000, 8010, false, "10.0.0.1:0", "10.0.0.2:0"),
	}
	stays := []string{
		"tcp 192.0.2.99:1001 192.0.2.10:80 10.0.0.2:80",
		"tcp 192.0.2.99:1002 192.0.2.10:81 10.0.0.1:80",
		"udp 192.0.2.99:1003 192.0.2.10:8005 10.0.0.2:8005",
		"tcp 10.0.0.2:80 192.0.2.98:1004 192.0.2.98:1004 192.0.2.10:80",
		"tcp 10.0.0.1:81 192.0.2.98:1005 192.0.2.98:1005 192.0.2.10:81",
		"udp 10.0.0.1:8005 192.0.2.98:1006 192.0.2.98:1006 192.0.2.77:8005",
	}
	goes := []string{
		"tcp 192.0.2.99:2001 192.0.2.10:80 10.0.0.1:80",
		"udp 192.0.2.99:2002 192.0.2.10:8005 10.0.0.1:8005",
		"tcp 10.0.0.1:80 192.0.2.98:2003 192.0.2.98:2003 192.0.2.10:80",
		"udp 10.0.0.1:8005 192.0.2.98:2004 192.0.2.98:2004 192.0.2.10:8005",
	}
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED, slices.Concat(stays, goes)...)
	first := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.1:0")}
	if deleted, err := DeleteBackends(t.Context(), services, first); err != nil || deleted != len(goes) {
		t.Errorf("%d deleted, %v; want %d", deleted, err, len(goes))
	}
	if diff := cmp.Diff(shortened(stays), trackedLines(t)); diff != "" {
		t.Errorf("want -, left +:\n%s", diff)
	}
}
