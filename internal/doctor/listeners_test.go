package doctor

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/network"
)

// TestListenersUnreadable says what it cannot tell, and of which service a process is.
func TestListenersUnreadable(t *testing.T) {
	e := examination{Host: host(t, nil), Balancer: Balancer{Services: []config.Service{webService()}}}
	listeners := func() []Finding {
		e.sockets = network.NewSockets(e.Proc)
		return e.listeners()
	}
	found := listeners()
	if len(found) != 1 || found[0].Severity != Risk || found[0].What[:37] != "cannot tell who listens on tcp: open " {
		t.Errorf("%s", reported(found))
	}
	write(t, filepath.Join(e.Proc, "net/tcp"), `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0A0200C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
`)
	unseen := `risk: a process that cannot be seen listens on tcp 192.0.2.10:80 and is shadowed: what comes for 192.0.2.10:80 goes to service web
    
`
	if diff := cmp.Diff(unseen, reported(listeners())); diff != "" {
		t.Error(diff)
	}
	e.Services[0].Interfaces = []string{"eth0"}
	wantFindings(t, listeners(), "risk: a process that cannot be seen listens on tcp 192.0.2.10:80 and is shadowed: what comes for 192.0.2.10:80 by eth0 goes to service web")
	write(t, filepath.Join(e.Proc, "77/comm"), "nginx\n")
	write(t, filepath.Join(e.Proc, "77/fd/6"), "-> socket:[4711]")
	write(t, filepath.Join(e.Proc, "77/cgroup"), "0::/system.slice/nginx.service\n")
	found = listeners()
	if len(found) != 1 || found[0].Fix != "systemctl disable --now nginx.service" || found[0].What[:40] != "nginx (process 77) listens on tcp 192.0." {
		t.Errorf("%s", reported(found))
	}
}

// TestEphemeral leaves alone what may be a client's port, of UDP only.
func TestEphemeral(t *testing.T) {
	e := examination{Host: host(t, []txtar.File{{Name: "proc/net/ipv4/ip_local_port_range", Data: []byte("32768\t60999\n")}})}
	for port, want := range map[uint16]bool{32767: false, 32768: true, 60999: true, 61000: false} {
		if e.ephemeral("udp", port) != want || e.ephemeral("tcp", port) {
			t.Errorf("%d", port)
		}
	}
}

// TestTakes knows which sockets a listen address takes from.
func TestTakes(t *testing.T) {
	one := listenOf(netip.MustParseAddr("192.0.2.10"), 80, 89)
	for at, want := range map[string][2]bool{
		"192.0.2.10:80": {true, true}, "192.0.2.10:89": {true, false}, "192.0.2.10:90": {false, false}, "192.0.2.10:79": {false, false},
		"192.0.2.11:80": {false, true}, "0.0.0.0:80": {true, true}, "127.0.0.1:80": {false, false}, "[::]:80": {true, true},
	} {
		socket := netip.MustParseAddrPort(at)
		if got := [2]bool{takesFrom(one, socket), takesFrom(everywhere(), socket)}; got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}
