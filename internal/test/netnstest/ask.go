package netnstest

import (
	"sync"
	"testing"
	"time"
)

// askTimeout bounds each question of AskMany: one lost SYN is sent again
// after 1 s, a second one after 3 s.
const askTimeout = 5 * time.Second

// Ask makes one new connection (tcp, sctp) or sends one datagram from a source
// port not used before (udp), and returns which backend answered and which
// address of ours it saw.
func Ask(t testing.TB, from *Host, network, addr string, timeout time.Duration) (backend, sawPeer string, err error) {
	t.Helper()
	from.Do(t, func() { backend, sawPeer, err = from.asker.Ask(network, addr, timeout) })
	return backend, sawPeer, err
}

// Once is Ask for any goroutine.
func (h *Host) Once(network, addr string, timeout time.Duration) (backend string, err error) {
	err = h.Host.Do(func() error {
		backend, _, err = h.asker.Ask(network, addr, timeout)
		return err
	})
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
			err := from.Host.Do(func() error {
				for range share {
					backend, _, err := from.asker.Ask(network, addr, askTimeout)
					count(backend, err)
				}
				return nil
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
