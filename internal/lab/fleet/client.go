package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// perKind is how many connections of each kind are open.
const perKind = 60

// newPatience is how long a new connection may take: less than the kernel waits before it
// sends a lost SYN again.
const newPatience = time.Second

// connection is one of the client's that stays open.
type connection struct {
	kind  int
	conn  net.Conn
	first string       // the backend that answered first
	heard atomic.Int64 // when it was heard last, in ns
	ended atomic.Bool  // the client has closed its half
	lost  atomic.Bool  // reset, or ended
	moved atomic.Bool  // another backend answered
}

// client holds connections, and makes new ones.
type client struct {
	network string // tcp or udp
	to      string
	from    []net.IP
	port    int // of the connections of the first kind, the next kind's is one more; 0: the kernel chooses
	open    []*connection
	began   atomic.Int64 // new connections
	failed  atomic.Int64 // those that failed
}

// beClient opens connections of all kinds from so many addresses, makes new ones beside, and is
// told on standard input when to count: "PATIENCE" is for how long each open one may yet be
// silent. It answers by a line of counts. At the word "close" it closes its half of the idle ones.
func beClient(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: fleet client NETWORK ADDRESS PORT FIRST COUNT")
	}
	c := &client{network: args[0], to: args[1]}
	first, err := netip.ParseAddr(args[3])
	count, errCount := strconv.Atoi(args[4])
	var errPort error
	c.port, errPort = strconv.Atoi(args[2])
	if err := errors.Join(err, errCount, errPort); err != nil {
		return err
	}
	for address := first; len(c.from) < count; address = address.Next() {
		c.from = append(c.from, address.AsSlice())
	}
	if err := c.openAll(); err != nil {
		return err
	}
	fmt.Println("ready")
	go c.keepAsking()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == closeWord {
			if err := c.closeIdle(); err != nil {
				return err
			}
			continue
		}
		patience, err := time.ParseDuration(lines.Text())
		if err != nil {
			return err
		}
		fmt.Println(c.count(patience))
	}
	return nil
}

// closeWord is what the client is told before another balancer has taken over.
const closeWord = "close"

// closeIdle closes the client's half of all idle connections: a FIN is the next that it sends.
func (c *client) closeIdle() (err error) {
	for _, s := range c.open {
		if tcp, ok := s.conn.(*net.TCPConn); ok && s.kind == idle {
			s.ended.Store(true)
			err = errors.Join(err, tcp.CloseWrite())
		}
	}
	return err
}

// dial connects from one of the addresses; port 0 is any.
func (c *client) dial(i, port int, patience time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: c.from[i%len(c.from)], Port: port}, KeepAlive: -1}
	if c.network == "udp" {
		dialer.LocalAddr = &net.UDPAddr{IP: c.from[i%len(c.from)], Port: port}
	}
	return dialer.Dial(c.network, c.to)
}

// openAll opens them, and waits until each was answered once.
func (c *client) openAll() error {
	var wait sync.WaitGroup
	count := kinds * perKind
	if c.network == "udp" {
		count = down * perKind // what is much wants a protocol that sends again
	}
	failures := make([]error, count)
	places := make(chan struct{}, 20)
	for i := range count {
		s := &connection{kind: i / perKind}
		c.open = append(c.open, s)
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			failures[i] = s.open(c, i)
		})
	}
	wait.Wait()
	return errors.Join(failures...)
}

// open opens one, and lets it live on.
func (s *connection) open(c *client, i int) (err error) {
	const patience = 10 * time.Second
	port := c.port
	if port != 0 {
		port += s.kind
	}
	if s.conn, err = c.dial(i, port, patience); err != nil {
		return err
	}
	answers := bufio.NewReaderSize(s.conn, downBytes)
	err = s.conn.SetDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = io.WriteString(s.conn, kindNames[s.kind]+"\n")
	}
	if err == nil {
		s.first, err = answers.ReadString('\n')
	}
	if err == nil {
		err = s.conn.SetDeadline(time.Time{})
	}
	if err != nil {
		return fmt.Errorf("%s from %v: %w", kindNames[s.kind], s.conn.LocalAddr(), err)
	}
	s.first = strings.TrimLeft(s.first, ".")
	go s.listen(answers)
	switch s.kind {
	case echo:
		go s.speak([]byte("\n"), beat)
	case up:
		go s.speak(make([]byte, upBytes), flow)
	}
	return nil
}

// listen keeps what it hears.
func (s *connection) listen(answers *bufio.Reader) {
	for {
		line, err := answers.ReadString('\n')
		if err == io.EOF && s.ended.Load() {
			s.heard.Store(math.MaxInt64) // as it should be
			return
		}
		if err != nil {
			s.lost.Store(true)
			return
		}
		if strings.TrimLeft(line, ".") != s.first {
			s.moved.Store(true)
		}
		s.heard.Store(time.Now().UnixNano())
	}
}

// speak is the other half. It goes on until the connection is lost.
func (s *connection) speak(piece []byte, every time.Duration) {
	_ = say(s.conn, piece, every)
	s.lost.Store(true)
}

// keepAsking makes a new connection each 20 ms.
func (c *client) keepAsking() {
	for i := 0; ; i++ {
		go func() {
			failed := c.ask(i) != nil
			c.began.Add(1)
			if failed {
				c.failed.Add(1)
			}
		}()
		time.Sleep(flow)
	}
}

// ask makes one, and ends it by a reset, which frees its port at once.
func (c *client) ask(i int) error {
	deadline := time.Now().Add(newPatience)
	conn, err := c.dial(i, 0, newPatience)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = conn.SetDeadline(deadline)
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetLinger(0))
	}
	if err == nil {
		_, err = io.WriteString(conn, "new\n")
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 64))
	}
	return err
}

// count waits until each open connection was heard anew for a while, or is lost, and says how
// many of each kind were lost. Idle ones speak now.
func (c *client) count(patience time.Duration) counts {
	const again = time.Second // one that lives is heard for longer than from what was on its way
	begin := time.Now()
	var silent []*connection
	for _, s := range c.open {
		silent = append(silent, s)
		if s.kind == idle {
			_, _ = io.WriteString(s.conn, "\n") // its answer tells
		}
	}
	for len(silent) > 0 && time.Since(begin) < patience {
		time.Sleep(flow)
		var still []*connection
		for _, s := range silent {
			after := begin
			if s.kind != idle {
				after = begin.Add(again)
			}
			if !s.lost.Load() && s.heard.Load() < after.UnixNano() {
				still = append(still, s)
			}
		}
		silent = still
	}
	for _, s := range silent {
		s.lost.Store(true)
	}
	n := counts{began: int(c.began.Load()), failed: int(c.failed.Load())}
	for _, s := range c.open {
		switch moved := s.moved.Load(); {
		case s.lost.Load(), moved && c.network == "udp": // where whoever is asked answers
			n.lost[s.kind]++
		case moved:
			n.moved++
		}
	}
	return n
}

// counts are what the client counted.
type counts struct {
	lost          [kinds]int
	moved         int // answered by another backend
	began, failed int // new connections
}

// countsFormat is their line.
const countsFormat = "lost %d %d %d %d %d moved %d new %d/%d"

// String is the line by which the client answers.
func (n counts) String() string {
	l := n.lost
	return fmt.Sprintf(countsFormat, l[idle], l[echo], l[push], l[down], l[up], n.moved, n.failed, n.began)
}

// readCounts reads it.
func readCounts(line string) (n counts, err error) {
	l := &n.lost
	_, err = fmt.Sscanf(line, countsFormat, &l[idle], &l[echo], &l[push], &l[down], &l[up], &n.moved, &n.failed, &n.began)
	if err != nil {
		err = fmt.Errorf("the client said %q: %w", line, err)
	}
	return n, err
}
