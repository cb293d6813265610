package restore_test

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// helpFTP has the kernel's helper for FTP look at the control connections to two ports.
func helpFTP(t *testing.T, variant rules.Variant, family rules.Family) {
	t.Helper()
	for _, port := range []string{"21", "22"} {
		netnstest.Self().Command(t, "", hosttest.Programs(variant, family).Iptables, "-w", "5", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", port, "-j", "CT", "--helper", "ftp")
	}
}

// ftpSession is the control connection of an FTP client with a backend, at both ends.
type ftpSession struct {
	client, server    *netnstest.Host
	at                netip.Addr // the backend
	toServer, toUser  net.Conn
	fromUser, fromFTP *bufio.Reader
}

// connectFTP opens a control connection and says a line each way: the helper reads none
// before it saw one end.
func connectFTP(t *testing.T, client, server *netnstest.Host, vip, at netip.AddrPort) ftpSession {
	t.Helper()
	s := ftpSession{client: client, server: server, at: at.Addr()}
	listener := listenOn(t, server, at)
	s.toServer = dialFrom(t, client, vip)
	s.toUser = acceptOne(t, listener)
	hosttest.Must(t, listener.Close())
	s.fromFTP, s.fromUser = bufio.NewReader(s.toServer), bufio.NewReader(s.toUser)
	tell(t, s.toUser, s.fromFTP, "220 ready")
	tell(t, s.toServer, s.fromUser, "USER test")
	return s
}

// listenOn listens on a host until the test ends.
func listenOn(t *testing.T, host *netnstest.Host, at netip.AddrPort) *net.TCPListener {
	t.Helper()
	var listener *net.TCPListener
	var err error
	host.Do(t, func() { listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)) })
	hosttest.Must(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

// tryDial connects from a host.
func tryDial(t *testing.T, host *netnstest.Host, to netip.AddrPort, patience time.Duration) (conn net.Conn, err error) {
	t.Helper()
	host.Do(t, func() { conn, err = net.DialTimeout("tcp", to.String(), patience) })
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// dialFrom is tryDial that has to get there.
func dialFrom(t *testing.T, host *netnstest.Host, to netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := tryDial(t, host, to, hurry)
	hosttest.Must(t, err)
	hosttest.Must(t, conn.SetDeadline(time.Now().Add(hurry)))
	return conn
}

// acceptOne takes a connection that was made.
func acceptOne(t *testing.T, listener *net.TCPListener) net.Conn {
	t.Helper()
	hosttest.Must(t, listener.SetDeadline(time.Now().Add(hurry)))
	conn, err := listener.Accept()
	hosttest.Must(t, err)
	t.Cleanup(func() { conn.Close() })
	hosttest.Must(t, conn.SetDeadline(time.Now().Add(hurry)))
	return conn
}

// tell writes a line at one end, and returns what the other reads.
func tell(t *testing.T, to net.Conn, from *bufio.Reader, line string) string {
	t.Helper()
	_, err := fmt.Fprintf(to, "%s\r\n", line)
	hosttest.Must(t, err)
	got, err := from.ReadString('\n')
	hosttest.Must(t, err)
	return strings.TrimSpace(got)
}

// passive asks for a port of the server's, and returns where the client goes: to the address
// that it asked for, at that port.
func (s ftpSession) passive(t *testing.T, vip netip.Addr) (data *net.TCPListener, to netip.AddrPort) {
	t.Helper()
	data = listenOn(t, s.server, netip.AddrPortFrom(s.at, 0))
	reply := tell(t, s.toUser, s.fromFTP, fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", data.Addr().(*net.TCPAddr).Port))
	port, err := strconv.ParseUint(strings.Trim(reply[strings.Index(reply, "(|||"):], "(|)"), 10, 16)
	hosttest.Must(t, err)
	return data, netip.AddrPortFrom(vip, uint16(port))
}

// active tells the server a port of the client's, and returns where the server goes.
func (s ftpSession) active(t *testing.T, client netip.Addr) (data *net.TCPListener, to netip.AddrPort) {
	t.Helper()
	data = listenOn(t, s.client, netip.AddrPortFrom(client, 0))
	kind := map[bool]int{true: 1, false: 2}[client.Is4()]
	order := tell(t, s.toServer, s.fromUser, fmt.Sprintf("EPRT |%d|%v|%d|", kind, client, data.Addr().(*net.TCPAddr).Port))
	words := strings.Split(order, "|")
	to, err := netip.ParseAddrPort(net.JoinHostPort(words[2], words[3]))
	hosttest.Must(t, err)
	return data, to
}

// wantData sends a line over a data connection that was just opened.
func wantData(t *testing.T, from *netnstest.Host, to netip.AddrPort, data *net.TCPListener) {
	t.Helper()
	conn, err := tryDial(t, from, to, 3*time.Second)
	if err != nil {
		t.Errorf("data connection to %v: %v", to, err)
		return
	}
	hosttest.Must(t, conn.SetDeadline(time.Now().Add(hurry)))
	other := acceptOne(t, data)
	for range 2 {
		tell(t, conn, bufio.NewReader(other), "data")
		tell(t, other, bufio.NewReader(conn), "more")
	}
}

// TestForwardRelated drops everything in FORWARD, and has FTP clients open data connections
// both ways, with and without snat, by an address and by "*": those of services that ask for
// it pass, and those of another service at another backend do not.
func TestForwardRelated(t *testing.T) {
	for _, snat := range []string{"masquerade", "none"} {
		t.Run(snat, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, variant rules.Variant, family int) {
				n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true, Backends: 2, Separate: true})
				host := newHost(t, variant)
				helpFTP(t, variant, families[family])
				ftp := func(name string, port, at int, lines ...string) string {
					return service(name, family, port, 1, append(lines, fmt.Sprintf("backends = [%q]", netip.AddrPortFrom(backend(family, at), uint16(port))))...)
				}
				vip, client := netnstest.VIP(family), netnstest.ClientAddr(family, 0)
				apply(t, host, ftp("ftp", 21, 0))
				probe := connectFTP(t, n.Client, n.Backends[0].Host, netip.AddrPortFrom(vip, 21), netip.AddrPortFrom(backend(family, 0), 21))
				if _, to := probe.active(t, client); to.Addr() == client {
					t.Skip("this kernel has not loaded nf_nat_ftp, which translates what FTP says: modprobe nf_nat_ftp")
				}
				asks := []string{fmt.Sprintf("snat = %q", snat), `forward = "accept"`}
				any := ftp("any", 22, 0, append(asks, `listen = "*:22"`)...)
				apply(t, host, ftp("ftp", 21, 0, asks...)+any)
				hosttest.IPTablesOn(t, variant, families[family], rules.Filter, "-P FORWARD DROP")
				for _, port := range []uint16{21, 22} {
					session := connectFTP(t, n.Client, n.Backends[0].Host, netip.AddrPortFrom(vip, port), netip.AddrPortFrom(backend(family, 0), port))
					data, to := session.passive(t, vip)
					wantData(t, n.Client, to, data)
					data, to = session.active(t, client)
					wantData(t, n.Backends[0].Host, to, data)
				}
				// Of a backend whose service leaves FORWARD alone somebody lets the control connection through.
				apply(t, host, ftp("ftp", 21, 1, asks[0])+any)
				hosttest.IPTablesOn(t, variant, families[family], rules.Filter, fmt.Sprintf("-A FORWARD -m conntrack --ctorigdst %v --ctorigdstport 21 -j ACCEPT", vip))
				session := connectFTP(t, n.Client, n.Backends[1].Host, netip.AddrPortFrom(vip, 21), netip.AddrPortFrom(backend(family, 1), 21))
				_, to := session.passive(t, vip)
				if _, err := tryDial(t, n.Client, to, patience); err == nil || !os.IsTimeout(err) {
					t.Errorf("data connection of a service that leaves FORWARD alone: %v", err)
				}
			})
		})
	}
}

// eachFamily runs a test once a family, with the variants of VariantsAt.
func eachFamily(t *testing.T, test func(t *testing.T, variant rules.Variant, family int)) {
	t.Helper()
	for i, family := range []int{4, 6} {
		for _, variant := range netnstest.VariantsAt(t, t.Name(), i) {
			t.Run(fmt.Sprintf("%s/ipv%d", variant, family), func(t *testing.T) {
				if netnstest.Isolate(t) {
					test(t, rules.Variant(variant), family)
				}
			})
		}
	}
}
