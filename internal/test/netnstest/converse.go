package netnstest

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Conversation is one connection that stays open: a stream, or datagrams from one
// source port, which conntrack takes for a connection.
type Conversation struct {
	conn   net.Conn
	lines  *bufio.Reader
	stream bool
}

// Converse begins a conversation with a server of Serve, and ends it with t. A
// stream that does not come about fails the test; datagrams can't.
func Converse(t testing.TB, from *Host, network, addr string) *Conversation {
	t.Helper()
	var conn net.Conn
	var err error
	from.Do(t, func() { conn, err = from.asker.Dial(network, addr, askTimeout) })
	if err != nil {
		t.Fatalf("cannot converse with %s %s: %v", network, addr, err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &Conversation{conn: conn, lines: bufio.NewReader(conn), stream: network != "udp"}
	if c.stream {
		if _, err := c.hear(askTimeout); err != nil { // servers speak first
			t.Fatalf("cannot converse with %s %s: %v", network, addr, err)
		}
	}
	return c
}

// Ask asks once more, and returns which backend answered.
func (c *Conversation) Ask(timeout time.Duration) (backend string, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	_, err = c.conn.Write([]byte("?\n"))
	if !c.stream && errors.Is(err, syscall.ECONNREFUSED) { // what came late to an earlier question
		_, err = c.conn.Write([]byte("?\n"))
	}
	if err != nil {
		return "", err
	}
	return c.hear(timeout)
}

// Answered is Ask where an answer is wanted: however busy the machine is, it comes.
func (c *Conversation) Answered() (backend string, err error) { return c.Ask(askTimeout) }

// hear waits for one answer.
func (c *Conversation) hear(timeout time.Duration) (backend string, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	line, err := c.lines.ReadString('\n')
	backend, _, _ = strings.Cut(strings.TrimSpace(line), " ")
	return backend, err
}

// End closes the conversation in the orderly way.
func (c *Conversation) End() error {
	if stream, ok := c.conn.(*net.TCPConn); ok {
		_ = stream.SetLinger(-1) // dial asks for a reset
	}
	return c.conn.Close()
}
