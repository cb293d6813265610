package restore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natspread/internal/netnstest"
	"natspread/restore"
)

// TestAppliesUnderLoad applies two configs in turn, a hundred times, under streams
// that stay open, streams that are made all the time, and datagram flows. No backend
// of the two that both have is taken out, so nothing of all this may fail.
func TestAppliesUnderLoad(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant restore.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		host := newHost(t, variant)
		n.Serve(t, "tcp", 4, 80)
		n.Serve(t, "udp", 4, 80)
		configs := [2]string{
			service("web", 4, 80, 0, weighted(4, 80, 1, 1), `on_remove = "reset"`) + service("dns", 4, 53, 2),
			service("dns", 4, 53, 3) + service("web", 4, 80, 0, weighted(4, 80, 3, 1, 0), `on_remove = "reset"`, `algorithm = "round-robin"`),
		}
		vip := at(netnstest.VIP(4), 80)
		apply(t, host, configs[0])
		load := newLoad(t)
		for range 5 {
			load.keep(netnstest.Converse(t, n.Client, "tcp", vip))
			load.keep(netnstest.Converse(t, n.Client, "udp", vip))
		}
		load.run(func() error {
			_, err := n.Client.Once("tcp", vip, hurry)
			return err
		})
		for i := range 100 {
			wantForgotten(t, apply(t, host, configs[(i+1)%2]), 0)
		}
		load.wantGood(t, 100)
	})
}

// load is work that goes on in the background and is counted.
type load struct {
	ctx    context.Context
	wait   sync.WaitGroup
	stop   context.CancelFunc
	done   atomic.Int64
	mu     sync.Mutex
	failed []error
}

// newLoad returns a load that ends with the test.
func newLoad(t *testing.T) *load {
	l := &load{}
	l.ctx, l.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { l.stop(); l.wait.Wait() })
	return l
}

// run does something over and over.
func (l *load) run(do func() error) {
	l.wait.Go(func() {
		for l.ctx.Err() == nil {
			if err := do(); err != nil {
				l.mu.Lock()
				l.failed = append(l.failed, err)
				l.mu.Unlock()
				return
			}
			l.done.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// keep asks over and over in one conversation, which must stay at one backend.
func (l *load) keep(c *netnstest.Conversation) {
	first := ""
	l.run(func() error {
		answered, err := c.Ask(hurry)
		if first == "" {
			first = answered
		}
		if err == nil && answered != first {
			err = fmt.Errorf("a conversation with %s was taken over by %s", first, answered)
		}
		return err
	})
}

// wantGood ends the load, which must have done something and failed in nothing.
func (l *load) wantGood(t *testing.T, least int64) {
	t.Helper()
	l.stop()
	l.wait.Wait()
	if len(l.failed) != 0 || l.done.Load() < least {
		t.Errorf("%d questions were answered, and these failed: %v", l.done.Load(), l.failed)
	}
	t.Logf("%d questions were answered", l.done.Load())
}
