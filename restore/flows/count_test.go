package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestCountConnections counts what is open for each virtual service, at drained backends too, and nobody
// else's.
func TestCountConnections(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "addr add 192.0.2.10/32 dev lo\naddr add 2001:db8::10/128 dev lo nodad\n", "ip", "-batch", "-")
	services := []rules.VirtualService{
		virtualService("tcp", "192.0.2.10", 80, 80, false, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("udp", "192.0.2.10", 80, 80, false, "10.0.0.1:80", "10.0.0.2:80"),
		virtualService("udp", "*", 8000, 8010, false, "10.0.0.1:0"),
		virtualService("sctp", "2001:db8::10", 80, 80, false, "[fd00::1]:80"),
		virtualService("udp", "2001:db8::10", 53, 53, false, "[fd00::1]:0"),
		virtualService("tcp", "192.0.2.10", 7000, 7010, false, "10.0.0.1:9000", "10.0.0.2:0", "10.0.0.1:9001"),
		virtualService("tcp", "192.0.2.10", 443, 443, false, "192.0.2.10:0"),
	}
	services[5].Shifted = true
	netnstest.Track(t, nl.TCP_CONNTRACK_ESTABLISHED,
		"tcp 192.0.2.99:1 192.0.2.10:80 10.0.0.1:80",
		"tcp 192.0.2.99:2 192.0.2.10:80 10.0.0.1:80",
		"tcp 192.0.2.99:3 192.0.2.10:80 10.0.0.2:80",
		"tcp 192.0.2.99:4 192.0.2.10:80 10.0.0.3:80", // nobody's of ours
		"tcp 192.0.2.99:5 192.0.2.11:80 10.0.0.1:80", // nobody's of ours
		"udp 192.0.2.99:1 192.0.2.10:80 10.0.0.2:80",
		"udp 192.0.2.99:2 192.0.2.10:8005 10.0.0.1:8005",
		"udp 192.0.2.99:3 192.0.2.10:8005 10.0.0.1:8006", // nobody's of ours
		"udp 192.0.2.99:4 192.0.2.77:8005 10.0.0.1:8005", // passes through
		"sctp [2001:db8::99]:1 [2001:db8::10]:80 [fd00::1]:80",
		"udp [2001:db8::99]:9 [2001:db8::10]:53 [fd00::1]:53",
		"tcp 192.0.2.99:20 192.0.2.10:7003 10.0.0.1:9003", // each port of a range at its own
		"tcp 192.0.2.99:21 192.0.2.10:7003 10.0.0.2:7003",
		"tcp 192.0.2.99:22 192.0.2.10:7003 10.0.0.1:9004", // the third one's
		"tcp 192.0.2.99:23 192.0.2.10:7003 10.0.0.1:9000", // nobody's of ours
		"tcp 192.0.2.99:24 192.0.2.10:7003 10.0.0.1:7003", // nor this
		"tcp 192.0.2.99:30 192.0.2.10:443 192.0.2.10:443", // at the listen address itself
		"tcp 192.0.2.99:31 192.0.2.10:443 192.0.2.10:0",   // was refused
		// The backend was the first to speak here: another balancer had these.
		"tcp 10.0.0.1:80 192.0.2.98:1 192.0.2.98:1 192.0.2.10:80",
		"udp 10.0.0.1:80 192.0.2.98:2 192.0.2.98:2 192.0.2.10:80",
		"udp [fd00::1]:53 [2001:db8::98]:3 [2001:db8::98]:3 [2001:db8::10]:53",
		"tcp 10.0.0.3:80 192.0.2.98:4 192.0.2.98:4 192.0.2.10:80",       // nobody's of ours
		"tcp 10.0.0.1:80 192.0.2.98:5 192.0.2.98:5 192.0.2.10:81",       // nor this: another port
		"tcp 10.0.0.1:5000 192.0.2.98:80 192.0.2.98:80 192.0.2.10:5000", // masqueraded
		"udp 10.0.0.1:8005 192.0.2.98:6 192.0.2.98:6 192.0.2.10:8005",   // masqueraded, too: no "*" has takeover
	)
	for i, state := range []uint8{nl.TCP_CONNTRACK_TIME_WAIT, nl.TCP_CONNTRACK_CLOSE, nl.TCP_CONNTRACK_SYN_SENT, nl.TCP_CONNTRACK_FIN_WAIT} {
		netnstest.Track(t, state, "tcp 192.0.2.99:"+string(rune('6'+i))+" 192.0.2.10:80 10.0.0.2:80")
	}
	got, err := CountConnections(t.Context(), services)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]int{{3, 3}, {1, 1}, {1}, {1}, {2}, {1, 1, 1}, {1}}, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
