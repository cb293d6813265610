package netnstest

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// askTimeout bounds each question of AskMany: one lost SYN is sent again
	// after 1 s, a second one after 3 s.
	askTimeout = 5 * time.Second

	// firstPort and portCount are the UDP source ports handed out in turn, so
	// that no question meets the conntrack entry of an earlier one.
	firstPort, portCount = 10000, 55000
)

// Ask makes one new connection (tcp, sctp) or sends one datagram from a source
// port not used before (udp), and returns which backend answered and which
// address of ours it saw.
func Ask(t testing.TB, from *Host, network, addr string, timeout time.Duration) (backend, sawPeer string, err error) {
	t.Helper()
	from.Do(t, func() { backend, sawPeer, err = from.ask(network, addr, timeout) })
	return backend, sawPeer, err
}

// Once is Ask for any goroutine.
func (h *Host) Once(network, addr string, timeout time.Duration) (backend string, err error) {
	entered := h.within(func() { backend, _, err = h.ask(network, addr, timeout) })
	if entered != nil {
		return "", entered
	}
	return backend, err
}

// Tally counts answers by backend.
type Tally map[string]int

// AskMany asks n times from several threads at once and counts who answered; an
// unanswered question fails the test.
func AskMany(t testing.TB, from *Host, network, addr string, n, workers int) Tally {
	t.Helper()
	var mu sync.Mutex
	var failures []error
	tally := Tally{}
	count := func(backend string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failures = append(failures, err)
			return
		}
		tally[backend]++
	}
	var wait sync.WaitGroup
	for w := range workers {
		share := (n + w) / workers // the workers' shares add up to n
		wait.Go(func() {
			err := from.within(func() {
				for range share {
					backend, _, err := from.ask(network, addr, askTimeout)
					count(backend, err)
				}
			})
			if err != nil {
				count("", err)
			}
		})
	}
	wait.Wait()
	if len(failures) > 0 {
		t.Fatalf("%d of %d asks of %s %s failed, one with: %v", len(failures), n, network, addr, failures[0])
	}
	return tally
}

// Of returns the counts in the order of the backends. Answers of any other
// backend follow as one more count, which no comparison overlooks.
func (c Tally) Of(backends []string) []int {
	var counts []int
	others := 0
	for _, n := range c {
		others += n
	}
	for _, b := range backends {
		counts = append(counts, c[b])
		others -= c[b]
	}
	if others > 0 {
		counts = append(counts, others)
	}
	return counts
}

// ask runs on a thread in the host's namespace.
func (h *Host) ask(network, addr string, timeout time.Duration) (backend, sawPeer string, err error) {
	conn, err := h.dial(network, addr, timeout)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", "", err
	}
	if _, ok := conn.(*net.UDPConn); ok {
		if _, err := conn.Write([]byte("?\n")); err != nil {
			return "", "", err
		}
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return "", "", err
	}
	backend, sawPeer, ok := strings.Cut(strings.TrimSpace(line), " ")
	if !ok {
		return "", "", fmt.Errorf("%s answered %q", addr, line)
	}
	return backend, sawPeer, nil
}

// dial connects. A stream is reset when it is closed, which leaves no TIME_WAIT
// and lets conntrack take the port for a new connection.
func (h *Host) dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	if network == "udp" {
		return h.dialDatagram(addr, timeout)
	}
	conn, err := h.dialStream(network, addr, timeout)
	if err != nil {
		return nil, err
	}
	if c, ok := conn.(*net.TCPConn); ok {
		err = c.SetLinger(0)
	}
	return conn, err
}

// dialStream lets the kernel choose the source port.
func (h *Host) dialStream(network, addr string, timeout time.Duration) (net.Conn, error) {
	if network == "sctp" {
		return dialStream(sctp, h.source, addr, timeout)
	}
	dialer := net.Dialer{Timeout: timeout}
	if h.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.source, 0))
	}
	return dialer.Dial(network, addr)
}

// dialDatagram takes the next source port that nothing else on the host holds.
func (h *Host) dialDatagram(addr string, timeout time.Duration) (conn net.Conn, err error) {
	for range 100 {
		port := firstPort + (h.ports.Add(1)-1)%portCount
		local := &net.UDPAddr{IP: h.source.AsSlice(), Port: int(port)}
		dialer := net.Dialer{Timeout: timeout, LocalAddr: local}
		if conn, err = dialer.Dial("udp", addr); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
