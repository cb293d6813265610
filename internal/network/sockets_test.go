package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
	processes := &processes{proc: "/proc"}
	for _, c := range []struct {
		protocol string
		family   rules.Family
		want     string
	}{
		{"tcp", rules.IPv4, "127.0.0.2:8080"}, {"tcp", rules.IPv6, "[::1]:8081"},
		{"udp", rules.IPv4, "127.0.0.3:5353"}, {"udp", rules.IPv6, "[::1]:5354"},
	} {
		found, err := readSockets("/proc", c.protocol, c.family)
		if err != nil || len(found) != 1 || found[0].At.String() != c.want {
			t.Errorf("%s %v: %v, %v", c.protocol, c.family, found, err)
			continue
		}
		holder, known := processes.of(found[0].Inode)
		if !known || holder.ID != os.Getpid() || holder.Name != "exe" {
			t.Errorf("%v is held by %+v", found[0], holder)
		}
	}
	if _, known := processes.of("1"); known {
		t.Error("a socket that is not there is held by somebody")
	}
}

// TestListeners has the kernel say the same of sockets that listen as its list in /proc does, whatever
// they listen on, and beside connections.
func TestListeners(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, at := range [][2]string{
		{"tcp4", "127.0.0.2:8080"}, {"tcp4", "127.0.0.3:8080"}, {"tcp4", "0.0.0.0:80"}, {"tcp4", ":0"}, {"tcp6", "[::1]:8081"}, {"tcp6", "[::1]:0"},
		{"tcp6", "[::]:8443"}, {"tcp", "[::]:443"},
	} {
		listener, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	listenMapped(t, "127.0.0.4", 8082)
	for family, count := range map[rules.Family]int{rules.IPv4: 4, rules.IPv6: 5} {
		asked, err := listeners(family)
		if err != nil {
			t.Fatal(err)
		}
		listed, err := listedSockets("/proc", "tcp", family)
		if err != nil {
			t.Fatal(err)
		}
		for _, sockets := range [][]Socket{asked, listed} {
			slices.SortFunc(sockets, func(a, b Socket) int { return strings.Compare(a.Inode, b.Inode) })
		}
		if !slices.Equal(asked, listed) || len(asked) != count {
			t.Errorf("%v: %v, and in /proc %v", family, asked, listed)
		}
	}
}

// listenMapped has a socket of IPv6 listen on an address of IPv4, which package net does with one of IPv4.
func listenMapped(t *testing.T, address string, port int) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	at := unix.SockaddrInet6{Port: port, Addr: netip.MustParseAddr(address).As16()}
	if err := errors.Join(unix.Bind(socket, &at), unix.Listen(socket, 1)); err != nil {
		t.Fatal(err)
	}
}

// TestSocketsSCTP reads the table of a kernel that has SCTP.
func TestSocketsSCTP(t *testing.T) {
	table := ` ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
00000000e5a5a2a0 00000000f2d4ad9c 2   10  37   80        0 31337 192.0.2.10 10.0.0.254 
00000000e5a5a2a1 00000000f2d4ad9d 0   7   38   81        0 31338 192.0.2.10 
00000000e5a5a2a2 00000000f2d4ad9e 2   10  39   82        0 31339 2001:0db8:0000:0000:0000:0000:0000:0010 
`
	proc := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(proc, "net/sctp"), 0o755), os.WriteFile(filepath.Join(proc, "net/sctp/eps"), []byte(table), 0o644)); err != nil {
		t.Fatal(err)
	}
	for family, want := range map[rules.Family]string{
		rules.IPv4: "192.0.2.10:80 31337 10.0.0.254:80 31337 ",
		rules.IPv6: "[2001:db8::10]:82 31339 ",
	} {
		found, err := readSockets(proc, "sctp", family)
		got := ""
		for _, s := range found {
			got += fmt.Sprintln(s.At, s.Inode)
		}
		if got = strings.ReplaceAll(got, "\n", " "); err != nil || got != want {
			t.Errorf("%v: %s, %v", family, got, err)
		}
	}
	if found, err := readSockets(t.TempDir(), "sctp", rules.IPv4); found != nil || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// TestWithBoth counts a socket for every address of IPv6 for IPv4 where none of that has its port.
func TestWithBoth(t *testing.T) {
	sockets := func(all ...string) (list []Socket) {
		for _, at := range all {
			list = append(list, Socket{At: netip.MustParseAddrPort(at)})
		}
		return list
	}
	got := withBoth(sockets("0.0.0.0:80", "192.0.2.10:443"), sockets("[::]:22", "[::]:80", "[::]:443", "[2001:db8::1]:53"))
	if want := sockets("[::]:22", "0.0.0.0:80", "192.0.2.10:443", "[::]:443"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
