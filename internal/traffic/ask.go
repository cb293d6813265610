package traffic

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// firstPort and portCount are the UDP source ports handed out in turn, so
	// that no question meets the conntrack entry of an earlier one.
	firstPort, portCount = 10000, 55000

	// resend is after how long a datagram is sent again: one may be lost, and nobody else sends it
	// again.
	resend = time.Second
)

// Asker asks servers from one host.
type Asker struct {
	source netip.Addr     // zero: the kernel chooses
	ports  *atomic.Uint32 // source ports handed out to UDP asks so far
}

// NewAsker returns an asker. Two of one host would hand out the same UDP source ports.
func NewAsker() Asker { return Asker{ports: new(atomic.Uint32)} }

// At is the same asker, asking from one of the addresses of its host.
func (a Asker) At(source netip.Addr) Asker { return Asker{source, a.ports} }

// Ask makes one new connection (tcp, sctp) or sends datagrams from a source port not used before
// (udp), and returns which server answered and which address of ours it saw. It uses the network
// of the calling thread.
func (a Asker) Ask(network, addr string, timeout time.Duration) (server, seen string, err error) {
	conn, err := a.Dial(network, addr, timeout)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	line, err := hear(conn, time.Now().Add(timeout))
	if err != nil {
		return "", "", err
	}
	server, seen, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return "", "", fmt.Errorf("%s answered %q", addr, line)
	}
	return server, seen, nil
}

// hear returns the first line that comes. Datagrams are asked for it again and again.
func hear(conn net.Conn, deadline time.Time) (line string, err error) {
	_, isUDP := conn.(*net.UDPConn)
	for {
		until := deadline
		if next := time.Now().Add(resend); isUDP && next.Before(deadline) {
			until = next
		}
		if err := conn.SetDeadline(until); err != nil {
			return "", err
		}
		if isUDP {
			if _, err := conn.Write([]byte("?\n")); err != nil {
				return "", err
			}
		}
		line, err = bufio.NewReader(conn).ReadString('\n')
		if !isUDP || !errors.Is(err, os.ErrDeadlineExceeded) || until.Equal(deadline) {
			return line, err
		}
	}
}

// Dial connects. A stream is reset when it is closed, which leaves no TIME_WAIT
// and lets conntrack take the port for a new connection.
func (a Asker) Dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	if network == "udp" {
		return a.dialDatagram(addr, timeout)
	}
	conn, err := a.dialStream(network, addr, timeout)
	if err != nil {
		return nil, err
	}
	if c, ok := conn.(*net.TCPConn); ok {
		err = c.SetLinger(0)
	}
	return conn, err
}

// dialStream lets the kernel choose the source port.
func (a Asker) dialStream(network, addr string, timeout time.Duration) (net.Conn, error) {
	if network == "sctp" {
		return dialStream(sctp, a.source, addr, timeout)
	}
	dialer := net.Dialer{Timeout: timeout}
	if a.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.source, 0))
	}
	return dialer.Dial(network, addr)
}

// dialDatagram takes the next source port that nothing else on the host holds.
func (a Asker) dialDatagram(addr string, timeout time.Duration) (conn net.Conn, err error) {
	for range 100 {
		port := firstPort + (a.ports.Add(1)-1)%portCount
		local := &net.UDPAddr{IP: a.source.AsSlice(), Port: int(port)}
		dialer := net.Dialer{Timeout: timeout, LocalAddr: local}
		if conn, err = dialer.Dial("udp", addr); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
