package netnstest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loadTimeout bounds each question of a Load over a stream. Only a lost packet takes long.
const loadTimeout = 10 * time.Second

// loadPause is between two questions: a load is to be there at every moment, not to take
// the processor from what it is there for.
const loadPause = 5 * time.Millisecond

// Load is work that goes on in the background until its end; what fails is remembered.
type Load struct {
	ctx    context.Context
	stop   context.CancelFunc
	wait   sync.WaitGroup
	done   atomic.Int64 // questions that were answered
	mu     sync.Mutex
	failed []error
}

// NewLoad returns a load that ends with t.
func NewLoad(t testing.TB) *Load {
	l := &Load{}
	l.ctx, l.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { l.stop(); l.wait.Wait() })
	return l
}

// Always asks over and over, until it fails or is stopped, for which stop waits.
func (l *Load) Always(ask func() error) (stop func()) {
	ctx, cancel := context.WithCancel(l.ctx)
	stopped := make(chan struct{})
	l.wait.Go(func() {
		defer close(stopped)
		for ctx.Err() == nil {
			if err := ask(); err != nil {
				l.mu.Lock()
				l.failed = append(l.failed, err)
				l.mu.Unlock()
				return
			}
			l.done.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(loadPause):
			}
		}
	})
	return func() { cancel(); <-stopped }
}

// Connect makes new streams all the time.
func (l *Load) Connect(from *Host, addr string) {
	l.Always(func() error {
		_, err := from.Once("tcp", addr, loadTimeout)
		return err
	})
}

// Keep asks in one conversation all the time, in which nobody but a backend may answer.
func (l *Load) Keep(c *Conversation, backend string) (stop func()) {
	return l.Always(func() error {
		answered, err := c.Ask(loadTimeout)
		if err != nil {
			return fmt.Errorf("a conversation with %s: %w", backend, err)
		}
		if answered != backend {
			return fmt.Errorf("a conversation with %s was taken over by %s", backend, answered)
		}
		return nil
	})
}

// WantGood ends the load, which must have failed in nothing and had answers to so many
// questions at least.
func (l *Load) WantGood(t testing.TB, least int64) {
	t.Helper()
	l.stop()
	l.wait.Wait()
	if len(l.failed) != 0 || l.done.Load() < least {
		t.Errorf("%d questions were answered, and these failed: %v", l.done.Load(), l.failed)
	}
	t.Logf("%d questions were answered", l.done.Load())
}
