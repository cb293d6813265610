package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// patience is how long the client waits for each connection: it sends a lost SYN again after
// 1 s and 3 s.
const patience = 4 * time.Second

// The outcomes of a connection. Others are a status, or an error's words.
const (
	good       = "good"
	wasRefused = "refused"
	wasSilent  = "silent" // nothing came within the client's patience
)

// shot is one connection of the client.
type shot struct {
	begin, end time.Time
	outcome    string
	backend    string // which answered
}

// beClient makes so many new connections a second to addresses in turn, until its standard
// input ends, and prints a line for each that is over.
func beClient(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: health client RATE ADDRESS [ADDRESS]")
	}
	rate, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	over := inputEnd()
	fmt.Println("ready")
	var mu sync.Mutex
	var wait sync.WaitGroup
	out := bufio.NewWriter(os.Stdout)
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	defer ticks.Stop()
	for i := 0; ; i++ {
		select {
		case <-over:
			wait.Wait()
			return nil
		case <-ticks.C:
		}
		wait.Go(func() {
			begin := time.Now()
			backend, outcome := ask(args[1+i%(len(args)-1)])
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(out, "%d %d %s %s\n", begin.UnixNano(), time.Now().UnixNano(), outcome, backend)
			_ = out.Flush() // who listens is gone only at the end
		})
	}
}

// inputEnd is closed when the standard input ends.
func inputEnd() <-chan struct{} {
	over := make(chan struct{})
	go func() { defer close(over); _, _ = io.Copy(io.Discard, os.Stdin) }()
	return over
}

// ask makes one connection, and ends it by a reset, which frees its port at once.
func ask(address string) (backend, outcome string) {
	deadline := time.Now().Add(patience)
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", outcomeOf(err)
	}
	defer conn.Close()
	err = errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.SetDeadline(deadline))
	if err == nil {
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n")
	}
	answer := make([]byte, 0, 512)
	for err == nil && !bytes.Contains(answer, []byte("\r\n\r\n")) {
		var n int
		n, err = conn.Read(answer[len(answer):cap(answer)])
		answer = answer[:len(answer)+n]
	}
	if err != nil {
		return "", outcomeOf(err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if _, status, _ := strings.Cut(head, " "); !strings.HasPrefix(status, "200 ") {
		return body, "status-" + status[:3]
	}
	return body, good
}

// outcomeOf is an error as one word.
func outcomeOf(err error) string {
	var failure net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return wasRefused
	case errors.As(err, &failure) && failure.Timeout():
		return wasSilent
	}
	return strings.ReplaceAll(err.Error(), " ", "-")
}

// client is one that runs.
type client struct{ *netns.Part }

// startClient starts one at so many connections a second.
func (s *stage) startClient(rate int) (client, error) {
	p, err := netns.StartPart(clientName, append([]string{"client", strconv.Itoa(rate)}, s.site.listens()...)...)
	return client{p}, err
}

// shots returns all connections that are over.
func (c client) shots() ([]shot, error) {
	var all []shot
	for _, line := range c.Said() {
		var begin, end int64
		var s shot
		if n, err := fmt.Sscanf(line+" -", "%d %d %s %s", &begin, &end, &s.outcome, &s.backend); n != 4 {
			return nil, fmt.Errorf("the client said %q: %w", line, err)
		}
		s.begin, s.end = time.Unix(0, begin), time.Unix(0, end)
		all = append(all, s)
	}
	return all, nil
}

// finish ends the client, and returns all of its connections.
func (c client) finish() ([]shot, error) {
	if err := c.Stop(); err != nil {
		return nil, err
	}
	return c.shots()
}
