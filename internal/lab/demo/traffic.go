package main

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"natspread/internal/nethost"
	"natspread/internal/traffic"
)

const (
	// patience bounds each connection: a lost SYN is sent again after 1 s, 3 s and 7 s.
	patience = 10 * time.Second

	// askers is how many connections are made at a time.
	askers = 8
)

// serve accepts connections on a backend's host from now on.
func serve(host *nethost.Host, address string) error {
	return host.Do(func() error {
		_, _, err := traffic.Serve("tcp", address)
		return err
	})
}

// ask makes one connection on the client, whose thread this is, and returns the address that
// answered.
func (n network) ask(address string) (backend string, err error) {
	backend, _, err = n.asker.Ask("tcp", address, patience)
	return backend, err
}

// askMany makes connections from the client, several at a time, and counts by the
// address that answered.
func (n network) askMany(address string, connections int) (counts map[string]int, err error) {
	counts = map[string]int{}
	var mu sync.Mutex
	count := func(backend string) {
		mu.Lock()
		defer mu.Unlock()
		counts[backend]++
	}
	var wait sync.WaitGroup
	failures := make([]error, askers)
	for i := range askers {
		share := (connections + i) / askers // they add up to connections
		wait.Go(func() {
			failures[i] = n.client.Do(func() error {
				for range share {
					backend, err := n.ask(address)
					if err != nil {
						return fmt.Errorf("a connection failed: %w", err)
					}
					count(backend)
				}
				return nil
			})
		})
	}
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err // one is enough: the others say the same
		}
	}
	return counts, nil
}

// refused makes sure that nobody takes a connection of the client's: the links
// work, but nothing balances.
func (n network) refused(address string) error {
	var backend string
	err := n.client.Do(func() (err error) {
		backend, err = n.ask(address)
		return err
	})
	switch {
	case err == nil:
		return fmt.Errorf("%s answered, but nothing is loaded", backend)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return fmt.Errorf("a connection was not refused: %w", err)
}
