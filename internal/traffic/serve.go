package traffic

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Serve listens on the network of the calling thread and returns the address, in which a port 0
// is replaced, and what stops it. The server answers every new connection and every further line
// on it, or every datagram, with one line: its own address and port, a space, and the address it
// saw the asker come from. Network is tcp, udp or sctp; a udp server needs a single address, not
// all of the host's.
func Serve(network, addr string) (at string, stop func(), err error) {
	if network == "udp" {
		return serveDatagrams(addr)
	}
	return serveStreams(network, addr)
}

// serveStreams accepts in the background; stop closes every connection too.
func serveStreams(network, addr string) (at string, stop func(), err error) {
	listener, err := listen(network, addr)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { answerLines(ctx, conn) })
		}
	})
	return listener.Addr().String(), func() { cancel(); listener.Close(); wait.Wait() }, nil
}

// listen makes a plain TCP listener (Go's own choice is MPTCP) or an SCTP one.
func listen(network, addr string) (net.Listener, error) {
	if network == "sctp" {
		return listenStream(sctp, addr)
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), network, addr)
}

// answerLines leaves the closing to the asker, so that TIME_WAIT stays on
// neither side.
func answerLines(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line := answer(conn.LocalAddr().String(), conn.RemoteAddr().String())
	lines := bufio.NewScanner(conn)
	for {
		if _, err := conn.Write(line); err != nil || !lines.Scan() {
			return
		}
	}
}

// serveDatagrams answers from the address it listens on.
func serveDatagrams(addr string) (at string, stop func(), err error) {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return "", nil, err
	}
	at = conn.LocalAddr().String()
	if netip.MustParseAddrPort(at).Addr().IsUnspecified() {
		conn.Close()
		return "", nil, fmt.Errorf("a udp server of all addresses can't tell which one was asked")
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		buffer := make([]byte, 2048)
		for {
			_, peer, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer(at, peer.String()), peer) // an asker may be gone
		}
	})
	return at, func() { conn.Close(); wait.Wait() }, nil
}

// answer is the one line a server says.
func answer(own, peer string) []byte {
	host, _, _ := net.SplitHostPort(peer)
	return []byte(own + " " + host + "\n")
}
