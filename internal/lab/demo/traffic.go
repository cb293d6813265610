package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

const (
	// patience bounds each connection: a lost SYN is sent again after 1 s, 3 s and 7 s.
	patience = 10 * time.Second

	// askers is how many connections are made at a time.
	askers = 8
)

// serve accepts connections on a host from now on and says, on each, the address
// that it serves.
func serve(host, address string) error {
	return netns.Within(host, func() error {
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			return fmt.Errorf("cannot serve: %w", err)
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go answer(conn, address)
			}
		}()
		return nil
	})
}

// answer leaves the closing to the client.
func answer(conn net.Conn, address string) {
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, address); err == nil {
		_, _ = conn.Read(make([]byte, 1))
	}
}

// ask makes one connection and returns the address that answered. It is reset at
// the end, which frees its port at once.
func ask(address string) (backend string, err error) {
	conn, err := net.DialTimeout("tcp4", address, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	err = errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.SetDeadline(time.Now().Add(patience)))
	if err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// askMany makes connections from the client, several at a time, and counts by the
// address that answered.
func askMany(address string, connections int) (counts map[string]int, err error) {
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
			failures[i] = netns.Within(client, func() error {
				for range share {
					backend, err := ask(address)
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
func refused(address string) error {
	var backend string
	var err error
	for range 20 {
		_ = netns.Within(client, func() error {
			backend, err = ask(address)
			return nil
		})
		if err == nil {
			return fmt.Errorf("%s answered, but nothing is loaded", backend)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // the carrier may come late
	}
	return fmt.Errorf("a connection was not refused: %w", err)
}
