package traffic

import (
	"bufio"
	"context"
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

	// spell is how long is waited at a time. A datagram is sent again after it: one may be lost, and
	// nobody else sends it again.
	spell = 500 * time.Millisecond
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
// of the calling thread, and waits no longer than the timeout for each step.
func (a Asker) Ask(network, addr string, timeout time.Duration) (server, seen string, err error) {
	conn, err := a.Dial(network, addr, timeout)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	line, err := hear(conn, timeout)
	if err != nil {
		return "", "", err
	}
	server, seen, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return "", "", fmt.Errorf("%s answered %q", addr, line)
	}
	return server, seen, nil
}

// hear returns the first line that comes. It waits in short spells, as many as there are in the
// timeout: while this machine stands still, time goes on and packets do not. Datagrams are asked for
// the line once in each spell.
func hear(conn net.Conn, timeout time.Duration) (line string, err error) {
	lines := bufio.NewReader(conn)
	_, isUDP := conn.(*net.UDPConn)
	for range spells(timeout) {
		if err := conn.SetDeadline(time.Now().Add(min(timeout, spell))); err != nil {
			return "", err
		}
		if isUDP {
			if _, err := conn.Write([]byte("?\n")); err != nil {
				return "", err
			}
		}
		line, err = lines.ReadString('\n')
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return line, err
}

// spells returns how many spells a timeout has.
func spells(timeout time.Duration) int { return int((timeout + spell - 1) / spell) }

// within returns a context that ends after so many spells as a timeout has.
func within(timeout time.Duration) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	left := spells(timeout)
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		if left--; left > 0 {
			timer.Reset(spell)
		} else {
			cancel(os.ErrDeadlineExceeded)
		}
	})
	timer.Reset(min(timeout, spell))
	return ctx, func() { timer.Stop(); cancel(nil) }
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
	var dialer net.Dialer
	if a.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.source, 0))
	}
	ctx, done := within(timeout)
	defer done()
	conn, err := dialer.DialContext(ctx, network, addr)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return conn, err
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
