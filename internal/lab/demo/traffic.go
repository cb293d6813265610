package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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

// watch has each of the client's other addresses make one connection after the other.
func (s *story) watch() *watch {
	return start(s.clientNames(), func(row int) (mark byte) {
		_ = s.network.client.Do(func() error {
			server, _, err := s.network.asker.At(s.network.clients[row]).Ask("tcp", s.listen, impatience)
			mark = s.markOf(server, err)
			return nil
		})
		return mark
	})
}

// watchOpen has each of these addresses ask again and again on a connection that stays open.
func (s *story) watchOpen() (*watch, error) {
	lines := make([]*bufio.ReadWriter, len(s.network.clients))
	var open []io.Closer
	for i, address := range s.network.clients {
		var conn net.Conn
		err := s.network.client.Do(func() (err error) {
			conn, err = s.network.asker.At(address).Dial("tcp", s.listen, patience)
			return err
		})
		if err != nil {
			return nil, err
		}
		open = append(open, conn)
		lines[i] = bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
		if _, err := lines[i].ReadString('\n'); err != nil { // the answer to a new connection
			return nil, err
		}
		if err := conn.SetDeadline(time.Now().Add(3 * bound)); err != nil {
			return nil, err
		}
	}
	w := start(s.clientNames(), func(row int) byte {
		_, err := lines[row].WriteString("who?\n")
		if err == nil {
			err = lines[row].Flush()
		}
		said := ""
		if err == nil {
			said, err = lines[row].ReadString('\n')
		}
		server, _, _ := strings.Cut(said, " ")
		return s.markOf(server, err)
	})
	stop := w.stop
	w.stop = func() {
		stop()
		for _, conn := range open {
			_ = conn.Close() // all is said
		}
	}
	return w, nil
}

// clientNames are the client's other addresses.
func (s *story) clientNames() []string {
	var names []string
	for _, address := range s.network.clients {
		names = append(names, address.String())
	}
	return names
}

// markOf is the number of the backend that answered.
func (s *story) markOf(server string, err error) byte {
	for i, backend := range s.service.Backends {
		if err == nil && backend.String() == server {
			return byte('1' + i)
		}
	}
	return failed
}
