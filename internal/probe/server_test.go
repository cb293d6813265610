package probe

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"natspread/internal/test/netnstest"
)

// loopbacks are the addresses to which the servers of the tests listen, of each family.
func loopbacks() []string { return []string{"127.0.0.1", "::1"} }

// serve answers each TCP connection to a loopback address by a function, until t ends.
func serve(t *testing.T, address string, answer func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				answer(conn)
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// closed is a port of a loopback address to which nobody listens.
func closed(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// hear reads what the client sends first.
func hear(conn net.Conn) string {
	request := make([]byte, 4096)
	n, _ := conn.Read(request)
	return string(request[:n])
}

// answers returns a server that hears the client and says a text.
func answers(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		hear(conn)
		_, _ = conn.Write([]byte(text))
		hear(conn) // until the client is gone
	}
}

// silent says nothing until the client is gone.
func silent(conn *net.TCPConn) {
	for hear(conn) != "" {
	}
}

// trickle sends a text one byte a second.
func trickle(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		ticks := time.NewTicker(time.Second)
		defer ticks.Stop()
		for _, b := range []byte(text) {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			<-ticks.C
		}
	}
}

// resets resets the connection once the client has said something.
func resets(conn *net.TCPConn) {
	hear(conn)
	_ = conn.SetLinger(0)
}

// good is the default of what a config expects.
func good(code int) bool { return code >= 200 && code <= 399 }

// want compares the outcome of a check with words: "" is fine, and what this host could not ask begins
// with "unable: ".
func want(t *testing.T, err error, words string) {
	t.Helper()
	got := ""
	if unable, ok := err.(*Unable); ok {
		got = "unable: " + unable.Reason
	} else if err != nil {
		got = err.Error()
	}
	if got != words {
		t.Errorf("the outcome is %q, want %q", got, words)
	}
}

// TestOutcomes asks servers that do well, and such as do not, in both families.
func TestOutcomes(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	megabyte := strings.Repeat("x", 1<<20)
	for name, test := range map[string]struct {
		server func(*net.TCPConn)
		target Target
		want   string
	}{
		"tcp, connected":              {silent, Target{Kind: TCP}, ""},
		"tcp, banner":                 {answers("220 mail\r\n"), Target{Kind: TCP, Send: "x", Receive: "220 "}, ""},
		"tcp, banner without request": {func(c *net.TCPConn) { _, _ = c.Write([]byte("220 mail\r\n")); hear(c) }, Target{Kind: TCP, Receive: "220 "}, ""},
		"tcp, other banner":           {answers("421 busy\r\n"), Target{Kind: TCP, Send: "x", Receive: "220 "}, "another answer"},
		"tcp, silent":                 {silent, Target{Kind: TCP, Send: "x", Receive: "220 "}, "no answer in 300ms"},
		"tcp, a byte a second":        {trickle("220 "), Target{Kind: TCP, Receive: "220 "}, "no answer in 300ms"},
		"tcp, closed":                 {func(*net.TCPConn) {}, Target{Kind: TCP, Receive: "220 "}, "closed without an answer"},
		"tcp, half an answer":         {func(c *net.TCPConn) { _, _ = c.Write([]byte("22")) }, Target{Kind: TCP, Receive: "220 "}, "closed without an answer"},
		"tcp, reset":                  {resets, Target{Kind: TCP, Send: "x", Receive: "220 "}, "connection reset by peer"},
		"tcp, 1 MB":                   {answers(megabyte), Target{Kind: TCP, Send: "x", Receive: "xxxx"}, ""},
		"http, 200":                   {answers("HTTP/1.1 200 OK\r\n\r\n"), Target{Kind: HTTP}, ""},
		"http, 1.0 without reason":    {answers("HTTP/1.0 204\r\n\r\n"), Target{Kind: HTTP}, ""},
		"http, redirect":              {answers("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n"), Target{Kind: HTTP}, ""},
		"http, 500":                   {answers("HTTP/1.1 500 Internal Server Error\r\n\r\n"), Target{Kind: HTTP}, "status 500"},
		"http, status only":           {answers("HTTP/1.1 200 OK\n"), Target{Kind: HTTP}, ""},
		"http, no end of line":        {answers("HTTP/1.1 200 OK"), Target{Kind: HTTP}, "no answer in 300ms"},
		"http, code of two digits":    {answers("HTTP/1.1 20 OK\r\n\r\n"), Target{Kind: HTTP}, "no HTTP answer"},
		"http, code of letters":       {answers("HTTP/1.1 +20 OK\r\n\r\n"), Target{Kind: HTTP}, "no HTTP answer"},
		"http, version 2":             {answers("HTTP/2 200\r\n\r\n"), Target{Kind: HTTP}, "no HTTP answer"},
		"http, ssh":                   {answers("SSH-2.0-OpenSSH_9.2\r\n"), Target{Kind: HTTP}, "no HTTP answer"},
		"http, long line":             {answers("HTTP/1.1 200 " + megabyte), Target{Kind: HTTP}, "no HTTP answer"},
		"http, 1 MB":                  {answers("HTTP/1.1 200 OK\r\n\r\n" + megabyte), Target{Kind: HTTP}, ""},
		"http, 1 MB of other things":  {answers(megabyte), Target{Kind: HTTP}, "no HTTP answer"},
		"http, a byte a second":       {trickle("HTTP/1.1 200 OK\r\n"), Target{Kind: HTTP}, "no answer in 300ms"},
		"http, silent":                {silent, Target{Kind: HTTP}, "no answer in 300ms"},
		"http, closed":                {func(c *net.TCPConn) { hear(c) }, Target{Kind: HTTP}, "closed without an answer"},
		"http, reset":                 {resets, Target{Kind: HTTP}, "connection reset by peer"},
		"https, plain port":           {answers("HTTP/1.1 400 Bad Request\r\n\r\n"), Target{Kind: HTTPS}, "no TLS answer"},
		"https, silent":               {silent, Target{Kind: HTTPS}, "no answer in 300ms"},
		"https, closed":               {func(c *net.TCPConn) { hear(c) }, Target{Kind: HTTPS}, "closed without an answer"},
		"https, reset":                {resets, Target{Kind: HTTPS}, "connection reset by peer"},
	} {
		for _, address := range loopbacks() {
			t.Run(name+", "+address, func(t *testing.T) {
				t.Parallel()
				target := test.target
				target.Address, target.Good = serve(t, address, test.server), good
				target.Path, target.Host, target.TLSName = "/", "www.example.net", "www.example.net"
				target.Timeout = 300 * time.Millisecond
				if test.want == "" { // as long as it takes
					target.Timeout = 10 * time.Second
				}
				want(t, target.Do(t.Context()), test.want)
			})
		}
	}
}

// TestRequest sends what servers of HTTP expect, and nothing else.
func TestRequest(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	heard := make(chan string, 1)
	address := serve(t, "127.0.0.1", func(conn *net.TCPConn) {
		heard <- hear(conn)
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		hear(conn)
	})
	target := Target{Kind: HTTP, Address: address, Timeout: 10 * time.Second, Path: "/healthz?a=b", Host: "www.example.net:8080", Good: good}
	want(t, target.Do(t.Context()), "")
	const request = "GET /healthz?a=b HTTP/1.1\r\nHost: www.example.net:8080\r\nUser-Agent: natspread\r\nConnection: close\r\n\r\n"
	if got := <-heard; got != request {
		t.Errorf("it asked %q, want %q", got, request)
	}
}

// TestClosed finds a port to which nobody listens, and connects from an address that was asked for.
func TestClosed(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, address := range loopbacks() {
		for _, kind := range []Kind{TCP, HTTP, HTTPS, UDP} {
			target := Target{Kind: kind, Address: closed(t, address), Timeout: 10 * time.Second, Send: "ping", Good: good}
			want(t, target.Do(t.Context()), "connection refused")
		}
	}
	from := make(chan string, 1)
	address := serve(t, "127.0.0.1", func(conn *net.TCPConn) { from <- conn.RemoteAddr().String() })
	target := Target{Kind: TCP, Address: address, Source: netip.MustParseAddr("127.0.0.77"), Timeout: 10 * time.Second}
	want(t, target.Do(t.Context()), "")
	if got := <-from; !strings.HasPrefix(got, "127.0.0.77:") {
		t.Errorf("it came from %s", got)
	}
}

// TestUDP asks a server of datagrams that answers, one that answers otherwise, and a silent one.
func TestUDP(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, address := range loopbacks() {
		for answer, words := range map[string]string{"pong, and more": "", "pon": "another answer", "": "no answer in 300ms"} {
			server, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
			heard := make(chan string, 1)
			go func() {
				request := make([]byte, 100)
				n, from, err := server.ReadFromUDPAddrPort(request)
				heard <- string(request[:n])
				if err == nil && answer != "" {
					_, _ = server.WriteToUDPAddrPort([]byte(answer), from)
				}
			}()
			target := Target{Kind: UDP, Address: server.LocalAddr().(*net.UDPAddr).AddrPort(), Source: netip.MustParseAddr(address), Timeout: 300 * time.Millisecond, Send: "ping\n", Receive: "pong"}
			if words == "" {
				target.Timeout = 10 * time.Second
			}
			want(t, target.Do(t.Context()), words)
			if got := <-heard; got != "ping\n" {
				t.Errorf("it sent %q", got)
			}
		}
	}
}
