package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestSockets opens one of each kind, and reads just those that wait for anyone.
func TestSockets(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	open := func(closer interface{ Close() error }, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closer.Close() })
	}
	open(net.Listen("tcp4", "127.0.0.2:8080"))
	open(net.Listen("tcp6", "[::1]:8081"))
	open(net.ListenPacket("udp4", "127.0.0.3:5353"))
	open(net.ListenPacket("udp6", "[::1]:5354"))
	open(net.Dial("tcp4", "127.0.0.2:8080"))
	open(net.Dial("udp4", "127.0.0.3:5353"))
	live := Host{Sysctls: "/proc/sys", Proc: "/proc"}
	for _, c := range []struct {
		protocol config.Protocol
		family   rules.Family
		want     string
	}{
		{"tcp", rules.IPv4, "127.0.0.2:8080"}, {"tcp", rules.IPv6, "[::1]:8081"},
		{"udp", rules.IPv4, "127.0.0.3:5353"}, {"udp", rules.IPv6, "[::1]:5354"},
	} {
		found, err := live.sockets(c.protocol, c.family)
		if err != nil || len(found) != 1 || found[0].at.String() != c.want {
			t.Errorf("%s %v: %v, %v", c.protocol, c.family, found, err)
			continue
		}
		holder, known := live.processOf(found[0].inode)
		if !known || holder.id != os.Getpid() || holder.name != "exe" {
			t.Errorf("%v is held by %+v", found[0], holder)
		}
	}
	if _, known := live.processOf("1"); known {
		t.Error("a socket that is not there is held by somebody")
	}
}

// TestSocketsSCTP reads the table of a kernel that has SCTP.
func TestSocketsSCTP(t *testing.T) {
	table := ` ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
00000000e5a5a2a0 00000000f2d4ad9c 2   10  37   80        0 31337 192.0.2.10 10.0.0.254 
00000000e5a5a2a1 00000000f2d4ad9d 0   7   38   81        0 31338 192.0.2.10 
00000000e5a5a2a2 00000000f2d4ad9e 2   10  39   82        0 31339 2001:0db8:0000:0000:0000:0000:0000:0010 
`
	h := host(t, []txtar.File{{Name: "proc/net/sctp/eps", Data: []byte(table)}})
	for family, want := range map[rules.Family]string{
		rules.IPv4: "192.0.2.10:80 31337 10.0.0.254:80 31337 ",
		rules.IPv6: "[2001:db8::10]:82 31339 ",
	} {
		found, err := h.sockets("sctp", family)
		got := ""
		for _, s := range found {
			got += fmt.Sprintln(s.at, s.inode)
		}
		if got = strings.ReplaceAll(got, "\n", " "); err != nil || got != want {
			t.Errorf("%v: %s, %v", family, got, err)
		}
	}
	if found, err := host(t, nil).sockets("sctp", rules.IPv4); found != nil || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// TestListenersUnreadable says what it cannot tell, and of which service a process is.
func TestListenersUnreadable(t *testing.T) {
	e := examination{Host: host(t, nil), Balancer: Balancer{Services: []config.Service{webService()}}}
	found := e.listeners()
	if len(found) != 1 || found[0].Severity != Risk || found[0].What[:37] != "cannot tell who listens on tcp: open " {
		t.Errorf("%s", reported(found))
	}
	write(t, filepath.Join(e.Proc, "net/tcp"), `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0A0200C0:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
`)
	unseen := `risk: a process that cannot be seen listens on tcp 192.0.2.10:80 and is shadowed: what comes for 192.0.2.10:80 goes to service web
    
`
	if diff := cmp.Diff(unseen, reported(e.listeners())); diff != "" {
		t.Error(diff)
	}
	e.Services[0].Interface = "eth0"
	wantFindings(t, e.listeners(), "risk: a process that cannot be seen listens on tcp 192.0.2.10:80 and is shadowed: what comes for 192.0.2.10:80 by eth0 goes to service web")
	write(t, filepath.Join(e.Proc, "77/comm"), "nginx\n")
	write(t, filepath.Join(e.Proc, "77/fd/6"), "-> socket:[4711]")
	write(t, filepath.Join(e.Proc, "77/cgroup"), "0::/system.slice/nginx.service\n")
	found = e.listeners()
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
