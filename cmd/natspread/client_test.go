package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natspread/internal/netnstest"
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
	host *netnstest.Host
	ctx  context.Context
	stop context.CancelFunc
	wait sync.WaitGroup
	done atomic.Int64 // questions that were answered
	lose atomic.Int64 // so many datagrams may be lost from now on

	mu     sync.Mutex
	failed []error
}

// newClient returns a client that ends with the test.
func newClient(t *testing.T, host *netnstest.Host) *client {
	c := &client{host: host}
	c.ctx, c.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { c.stop(); c.wait.Wait() })
	return c
}

// always asks over and over, until it fails or is stopped, for which stop waits.
func (c *client) always(ask func() error) (stop func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	stopped := make(chan struct{})
	c.wait.Go(func() {
		defer close(stopped)
		for ctx.Err() == nil {
			if err := ask(); err != nil {
				c.mu.Lock()
				c.failed = append(c.failed, err)
				c.mu.Unlock()
				return
			}
			c.done.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() { cancel(); <-stopped }
}

// connect makes new connections all the time.
func (c *client) connect(addr string) {
	c.always(func() error {
		_, err := c.host.Once("tcp", addr, answerWait)
		return err
	})
}

// talk is a long conversation of a client's, over one connection.
type talk struct {
	*netnstest.Conversation
	stop func()
}

// converse connects until a backend answers, and keeps asking it over that
// connection, in which nobody else may ever answer.
func (c *client) converse(t *testing.T, addr, backend string) talk {
	t.Helper()
	const tries = 1000
	for range tries {
		open := netnstest.Converse(t, c.host, "tcp", addr)
		answered, err := open.Ask(answerWait)
		if err != nil {
			t.Fatalf("cannot converse with %s: %v", addr, err)
		}
		if answered == backend {
			return talk{open, c.always(func() error { return asks(open, backend) })}
		}
		if err := open.End(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("none of %d connections to %s leads to %s", tries, addr, backend)
	return talk{}
}

// asks asks once, and wants that backend to answer.
func asks(open *netnstest.Conversation, backend string) error {
	answered, err := open.Ask(answerWait)
	if err != nil {
		return fmt.Errorf("a conversation with %s: %w", backend, err)
	}
	if answered != backend {
		return fmt.Errorf("a conversation with %s was taken over by %s", backend, answered)
	}
	return nil
}

// ends stops to ask, and says goodbye.
func (o talk) ends(t *testing.T) {
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
	c.always(ask)
	return func() string { return last.Load().(string) }
}

// mayLose says how many datagrams may be lost from now on.
func (c *client) mayLose(datagrams int64) { c.lose.Store(datagrams) }

// wantContent ends the client, which must have had answers to all it asked: so many
// questions at least.
func (c *client) wantContent(t *testing.T, least int64) {
	t.Helper()
	c.stop()
	c.wait.Wait()
	if len(c.failed) != 0 || c.done.Load() < least {
		t.Errorf("%d questions were answered, and these failed: %v", c.done.Load(), c.failed)
	}
	t.Logf("%d questions were answered", c.done.Load())
}
