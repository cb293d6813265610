package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// stage is a fleet between a client and backends, and what runs there.
type stage struct {
	row     row
	program string // natspread
	texts   map[string]string
	layout
	engines          []*engine
	backends, client *netns.Part
}

// listen is where clients ask.
func (s *stage) listen() string { return net.JoinHostPort(s.vip, "80") }

// play plays the row.
func (s *stage) play() (result, error) {
	var r result
	err := s.open()
	if err == nil {
		err = s.load()
	}
	if err == nil {
		r.took, err = s.die()
	}
	if err == nil {
		r.counts, err = s.count()
	}
	if err == nil && s.row.closes {
		r.held, err = s.holding()
	}
	if err != nil || !s.row.back {
		return r, err
	}
	time.Sleep(3 * time.Second) // the one that took over has seen much that the dead one has not
	if err := s.revive(); err != nil {
		return r, err
	}
	r.counts, err = s.count()
	return r, err
}

// open builds the fleet, and waits until it works.
func (s *stage) open() error {
	s.layout = pairLayout()
	if s.row.engine == byRoute {
		s.layout = swappedLayout(s.row.family)
	} else if s.row.behindRouter() {
		s.layout = ecmpLayout(cmp.Or(s.row.balancers, 3), s.row.engine == twoRouters)
	}
	if err := s.build(); err != nil {
		return err
	}
	for i := 1; i <= s.layout.balancers; i++ {
		if err := errors.Join(setAll(balancerName(i), s.texts[sysctlText]+s.row.sysctls), s.dropForwarded(balancerName(i)), s.apply(i, s.config(i))); err != nil {
			return err
		}
	}
	if s.row.snat == snatAddress { // it moves as the gateway does, but nobody carries entries
		s.texts[pairText] = strings.Replace(s.texts[pairText], "10.0.0.254/24 dev e1", "10.0.0.254/24 dev e1\n        10.0.0.253/24 dev e1", 1)
	}
	return s.startEngines()
}

// startEngines starts what moves addresses and routes, and waits until all are where they belong.
func (s *stage) startEngines() error {
	if s.row.behindRouter() {
		return errors.Join(s.startRouter(), s.leadBack())
	}
	if s.row.engine == byRoute {
		return s.swap(1, 0)
	}
	text := s.texts[pairText]
	if s.row.engine == conntrackdPair {
		text = s.texts[snatPairText]
		cable := "link add sy type veth peer name sy netns l2\n" + addresses("sy", "10.255.0.1/30")
		if err := errors.Join(netns.IP("l1", cable), netns.IP("l2", addresses("sy", "10.255.0.2/30"))); err != nil {
			return err
		}
		for i := 1; i <= 2; i++ {
			if err := s.conntrackd(balancerName(i), of(s.texts[conntrackdText], i)); err != nil {
				return err
			}
		}
		time.Sleep(time.Second) // until the two know each other
	}
	for i := 1; i <= 2; i++ { // l2 must never be the first: it would run notify_master
		if err := s.keepalived(balancerName(i), of(text, i)); err != nil {
			return err
		}
		if err := netns.Await(soon, "l1 has the addresses", func() bool { return s.owns("l1") && !has("l2", s.vip) }); err != nil {
			return err
		}
	}
	return nil
}

// owns tells whether a balancer of the pair has both addresses.
func (s *stage) owns(host string) bool { return has(host, s.vip) && has(host, "10.0.0.254") }

// startRouter starts the router's engine and those of the balancers.
func (s *stage) startRouter() error {
	err := setAll(routerName, "net.ipv4.ip_forward = 1\nnet.ipv4.fib_multipath_hash_policy = 1\n")
	switch s.row.engine {
	case staticRouter:
		return errors.Join(err, s.script(routerName, s.texts[staticText]))
	case twoRouters:
		return errors.Join(err, setAll(routerName, s.texts[hashText]),
			setAll(beyondName, "net.ipv4.ip_forward = 1\n"+strings.Replace(s.texts[hashText], "hash_fields = 1", "hash_fields = 2", 1)),
			s.script(routerName, notResilient(s.texts[staticText])), s.script(beyondName, s.texts[beyondText]))
	}
	start, router, balancer := s.bird, birdRouterText, birdText
	if s.row.engine == frrRouter {
		start, router, balancer = s.frr, frrRouterText, frrText
	}
	err = errors.Join(err, start(routerName, s.texts[router]))
	for i := 1; i <= s.layout.balancers; i++ {
		if err == nil {
			err = start(balancerName(i), of(s.texts[balancer], i))
		}
	}
	if err != nil {
		return err
	}
	return netns.Await(soon, "the router knows all balancers", func() bool {
		for i := 1; i <= s.layout.balancers; i++ {
			if !s.routed(i) {
				return false
			}
		}
		return true
	})
}

// notResilient is a script whose groups of next hops are plain ones.
func notResilient(script string) string {
	return strings.ReplaceAll(script, " type resilient buckets 512 idle_timer 60", "")
}

// script runs a shell script on a host.
func (s *stage) script(host, text string) error {
	_, err := command(host, text, "sh", "-e")
	return err
}

// routed tells whether the router sends to a balancer.
func (s *stage) routed(i int) bool {
	out, err := command(routerName, "", "ip", "route", "show", s.vip)
	return err == nil && strings.Contains(out, fmt.Sprintf("via 192.0.2.1%d ", i))
}

// leadBack has the backends answer to the balancer that delivered, at addresses that move when
// it dies.
func (s *stage) leadBack() error {
	if s.row.engine == twoRouters {
		return nil
	}
	for i := 1; i <= s.layout.balancers; i++ {
		if s.row.fixed {
			if err := netns.IP(balancerName(i), fmt.Sprintf("addr add 10.0.0.20%d/24 dev e1\n", i)); err != nil {
				return err
			}
		} else if err := s.keepalived(balancerName(i), of(s.texts[gatewaysText], i)); err != nil {
			return err
		}
	}
	err := netns.Await(soon, "each balancer has its gateway", func() bool {
		for i := 1; i <= s.layout.balancers; i++ {
			if !has(balancerName(i), fmt.Sprintf("10.0.0.20%d", i)) {
				return false
			}
		}
		return true
	})
	time.Sleep(time.Second) // the router's routes are in the kernel for good
	return errors.Join(err, s.script(backendsName, s.texts[wayBackText]))
}

// load opens all connections, and lets them run for a while.
func (s *stage) load() (err error) {
	served, network := []string{"backends", s.row.protocol()}, "10.0.0.%d:80"
	if s.row.family == 6 {
		network = "[fd00::%d]:80"
	}
	served = append(served, counted(network, 1, 4)...)
	if s.backends, err = netns.StartPart(backendsName, served...); err != nil {
		return err
	}
	if s.row.after {
		err = s.drain()
	}
	if err == nil {
		port := "0"
		if s.row.samePort {
			port = "20000" // the kernel chooses none as low
		}
		s.client, err = netns.StartPart(clientName, append([]string{"client", s.row.protocol(), s.listen(), port}, s.clients...)...)
	}
	if s.row.drained > 0 && !s.row.after && err == nil {
		err = s.drain()
	}
	if s.row.timer {
		time.Sleep(6 * time.Second) // the table is emptied 5 s after the word
	}
	time.Sleep(2 * time.Second)
	return err
}

// die ends the balancer that is active, or the second one behind a router, and returns how long
// it took until another one had what was its.
func (s *stage) die() (time.Duration, error) {
	victim, over := 1, func() bool { return s.owns("l2") }
	name := "keepalived"
	if s.row.behindRouter() {
		victim, over = 2, func() bool { return !s.routed(2) }
		name = "bird"
	}
	began := time.Now()
	var err error
	switch s.row.death {
	case pulled:
		err = plug(victim, "down")
	case ordered:
		err = s.end(balancerName(victim), name, syscall.SIGTERM)
	case killed:
		err = s.end(balancerName(victim), name, syscall.SIGKILL)
	}
	if s.row.closes && err == nil {
		err = s.client.Tell(closeWord)
	}
	if s.row.engine >= staticRouter {
		time.Sleep(500 * time.Millisecond)
		err = errors.Join(err, s.byPerson())
		over = func() bool { return true } // ip route show names the group alone
	}
	if err == nil {
		err = netns.Await(soon, "another balancer takes over", over)
	}
	took := time.Since(began)
	time.Sleep(500 * time.Millisecond)
	return took, err
}

// byPerson tells routers, or client and backends, of a death, where no engine does.
func (s *stage) byPerson() error {
	switch s.row.engine {
	case byRoute:
		return s.swap(2, s.row.apart)
	case staticRouter:
		return s.script(routerName, s.texts[deadText])
	}
	return errors.Join(s.script(routerName, notResilient(s.texts[deadText])), s.script(beyondName, s.texts[beyondDeadText]))
}

// revive gives the dead balancer its cables back, and waits until all is where it belongs then.
func (s *stage) revive() error {
	victim, back := 1, func() bool { return s.owns("l1") && !has("l2", s.vip) }
	if s.row.stays {
		back = func() bool { return s.owns("l2") && !has("l1", s.vip) }
	}
	if s.row.behindRouter() {
		victim, back = 2, func() bool { return s.routed(2) && has("l2", "10.0.0.202") }
	}
	err := errors.Join(plug(victim, "up"), netns.Await(soon, "the dead one is back", back))
	time.Sleep(time.Second)
	if err == nil && !back() {
		return errors.New("the addresses moved once more")
	}
	return err
}

// count has the client count.
func (s *stage) count() (counts, error) {
	patience := 12 * time.Second
	if s.row.behindRouter() {
		patience = 9 * time.Second
	}
	before := len(s.client.Said())
	err := s.client.Tell(patience.String())
	if err == nil {
		err = netns.Await(patience+soon, "the client counts", func() bool { return len(s.client.Said()) > before })
	}
	if err != nil {
		return counts{}, err
	}
	return readCounts(s.client.Said()[before])
}

// holding asks the backends how many idle connections they have.
func (s *stage) holding() (int, error) {
	said := func() []string { return s.backends.Said() }
	err := s.backends.Tell("")
	if err == nil {
		err = netns.Await(soon, "the backends count", func() bool { return len(said()) > 0 })
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(said()[0])
}

// result is what a death cost.
type result struct {
	took time.Duration
	held int // idle connections that backends have at the end; asked for where clients close them
	counts
}

// String is one line.
func (r result) String() string {
	return fmt.Sprintf("taken over in %.2f s, %v", r.took.Seconds(), r.counts)
}

// cells are those of a table in Markdown.
func (r result) cells() string {
	l := r.lost
	return fmt.Sprintf("%.2f s | %d %d %d %d %d | %d/%d |", r.took.Seconds(), l[idle], l[echo], l[push], l[down], l[up], r.failed, r.began)
}

// judge is an error where a death cost more than it may, or less than it must.
func (r result) judge(of row) error {
	if r.moved > 0 {
		return fmt.Errorf("%d connections were answered by another backend", r.moved)
	}
	if of.closes && r.held != perKind {
		return fmt.Errorf("the backends have %d idle connections, not %d", r.held, perKind)
	}
	for _, kind := range of.loses {
		if r.lost[kind] == 0 {
			return fmt.Errorf("of %s none is lost, so the row proves nothing", kindNames[kind])
		}
	}
	if of.loses == nil && r.lost != [kinds]int{} {
		return errors.New("connections are lost")
	}
	return nil
}
