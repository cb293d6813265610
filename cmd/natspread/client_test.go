package main

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"natspread/internal/test/netnstest"
)

const (
	// answerWait bounds one question over a stream. Only a lost packet takes long.
	answerWait = 10 * time.Second

	// datagramWait is when a question by datagram is asked again, as whoever speaks
	// UDP must.
	datagramWait = 3 * time.Second
)

// client is a customer who never stops: all that it began to do goes on until its
// end, and whatever fails is remembered.
type client struct {
	*netnstest.Load
	host *netnstest.Host
	lose atomic.Int64 // so many datagrams may be lost from now on
}

// conversation is a long one of a client's, over one connection.
type conversation struct {
	*netnstest.Conversation
	stop func()
}

// converse connects until a backend answers, and keeps asking it over that
// connection, in which nobody else may ever answer.
func (c *client) converse(t *testing.T, addr, backend string) conversation {
	t.Helper()
	const tries = 1000
	for range tries {
		open := netnstest.Converse(t, c.host, "tcp", addr)
		answered, err := open.Ask(answerWait)
		if err != nil {
			t.Fatalf("cannot converse with %s: %v", addr, err)
		}
		if answered == backend {
			return conversation{open, c.Keep(open, backend)}
		}
		if err := open.End(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("none of %d connections to %s leads to %s", tries, addr, backend)
	return conversation{}
}

// ends stops to ask, and says goodbye.
func (o conversation) ends(t *testing.T) {
	t.Helper()
	o.stop()
	if err := o.End(); err != nil {
		t.Fatal(err)
	}
}

// flow asks by datagram from one source port all the time, and returns what tells
// who answered last.
func (c *client) flow(t *testing.T, addr string) (answers func() string) {
	t.Helper()
	open := netnstest.Converse(t, c.host, "udp", addr)
	var last atomic.Value
	ask := func() error {
		for {
			answered, err := open.Ask(datagramWait)
			if err == nil {
				last.Store(answered)
				return nil
			}
			if c.lose.Add(-1) < 0 {
				return fmt.Errorf("datagrams to %s: %w", addr, err)
			}
		}
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	c.Always(ask)
	return func() string { return last.Load().(string) }
}

// mayLose says how many datagrams may be lost from now on.
func (c *client) mayLose(datagrams int64) { c.lose.Store(datagrams) }
