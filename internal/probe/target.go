package probe

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// Kind is how a backend is asked.
type Kind string

// The kinds of checks.
const (
	TCP   Kind = "tcp"
	HTTP  Kind = "http"
	HTTPS Kind = "https"
	UDP   Kind = "udp"
)

// Target is what is asked, of whom, and which answer is good.
type Target struct {
	Kind     Kind
	Address  netip.AddrPort
	Source   netip.Addr     // where the check connects from; the zero Addr leaves it to the kernel
	Timeout  time.Duration  // of the whole check: connect, handshake and answer
	Send     string         // tcp and udp: what is sent; "" sends nothing
	Receive  string         // tcp and udp: what the answer must begin with
	Path     string         // http and https: what is asked for
	Host     string         // http and https: the Host header
	Good     func(int) bool // http and https: whether a status code is good
	TLSName  string         // https: whom the certificate must name, and SNI unless it is an address
	Insecure bool           // https: any certificate will do
	Roots    *x509.CertPool // https: whose certificates hold; nil is the system's
}

// Do asks once. Nil means that the backend is fine; *Unable means that this host could not ask,
// and nothing is known of the backend; any other error is a failure of the backend, in
// words for people. Where the kernel gave an errno it is that: syscall.ECONNREFUSED.
func (t Target) Do(ctx context.Context) error {
	began := time.Now()
	err := t.ask(ctx, began.Add(t.Timeout))
	if err != nil && ctx.Err() != nil {
		return &Unable{"the check was stopped"}
	}
	return judge(err, t.Timeout, time.Since(began))
}

// ask connects, and asks what the kind asks.
func (t Target) ask(ctx context.Context, deadline time.Time) error {
	conn, err := t.connect(ctx, deadline)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	switch t.Kind {
	case HTTP:
		return t.get(conn)
	case HTTPS:
		return t.getTLS(conn)
	}
	return t.talk(conn)
}

// connect makes the socket. One of TCP is closed by a reset.
func (t Target) connect(ctx context.Context, deadline time.Time) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1, Deadline: deadline}
	network := "tcp"
	if t.Kind == UDP {
		network = "udp"
	}
	if t.Source.IsValid() {
		dialer.LocalAddr = localAddr(network, netip.AddrPortFrom(t.Source, 0))
	}
	conn, err := dialer.DialContext(ctx, network, t.Address.String()) // an address, so nothing is resolved
	if err != nil {
		return nil, err
	}
	if stream, ok := conn.(*net.TCPConn); ok {
		if err := stream.SetLinger(0); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// localAddr is an address in the type that the dialer wants of it.
func localAddr(network string, address netip.AddrPort) net.Addr {
	if network == "udp" {
		return net.UDPAddrFromAddrPort(address)
	}
	return net.TCPAddrFromAddrPort(address)
}
