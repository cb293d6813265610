package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// layout is one balancer's rules.
type layout struct {
	name    string
	variant string // nft, legacy, native (nftables itself), closed, or none
	rules   func() ([]byte, error)
}

// closed is the variant of a balancer that takes no packet in.
const closed = "closed"

// probe is a figure to take: SYNs for destinations, in turn, through a layout.
type probe struct {
	name     string // in words, with the variant
	layout   *layout
	to       []netip.AddrPort
	backends func(asked netip.AddrPort) []netip.AddrPort // nil: any that is not what was asked; none: not rewritten
	from     netip.Addr                                  // who sends; invalid: the client
	source   netip.Addr                                  // that the backends must see; invalid: any
	crowd    bool                                        // each SYN is another client's
}

// stage is a probe ready to be measured.
type stage struct {
	probe
	balancer
	*sender
	meters
	netlink int
	count   int           // SYNs a sample
	settle  time.Duration // how long the first packet may take
}

const (
	// warmUp is how many SYNs go before each sample, unmeasured, since what ran
	// before has left its own things in the processor's caches.
	warmUp = 64

	// sampleTime is how long a sample should take, within the two bounds of its
	// number of SYNs.
	sampleTime         = 40 * time.Millisecond
	fewest, most       = 256, 4000
	retries            = 5
	settleWithin       = 5 * time.Second // the cables take well under 10 ms
	verified           = 300             // SYNs that are looked at, for a handful of backends
	verifiedPerBackend = 8
)

// load makes the balancer of a layout and loads its rules.
func (l *layout) load(number int) (balancer, error) {
	b, err := newBalancer(number)
	if err == nil && l.variant == closed {
		err = b.close()
	}
	if err != nil || l.rules == nil {
		return b, err
	}
	rules, err := l.rules()
	if err != nil {
		return b, err
	}
	if err := loadRules(b.namespace, l.variant, rules); err != nil {
		return b, fmt.Errorf("cannot load %s, %s: %w", l.name, l.variant, err)
	}
	return b, nil
}

// prepareStages builds the network, one balancer for each layout, and makes sure
// that every probe's packets arrive as they should.
func prepareStages(probes []probe, quick bool) ([]*stage, error) {
	if err := newNetwork(); err != nil {
		return nil, err
	}
	balancers := map[*layout]*stage{}
	var stages []*stage
	for _, p := range probes {
		first := balancers[p.layout]
		if first == nil {
			var err error
			if first, err = newStage(p.layout, len(balancers)); err != nil {
				return nil, err
			}
			balancers[p.layout] = first
		}
		s := *first
		s.probe = p
		if err := s.verify(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		if err := s.calibrate(quick); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		stages = append(stages, &s)
	}
	return stages, nil
}

// newStage makes a balancer and what measures it.
func newStage(l *layout, number int) (s *stage, err error) {
	s = &stage{probe: probe{layout: l}, settle: settleWithin}
	if s.balancer, err = l.load(number); err != nil {
		return nil, err
	}
	if s.meters, err = newMeters(s.balancer); err != nil {
		return nil, err
	}
	if s.sender, err = newSender(s.balancer); err != nil {
		return nil, err
	}
	s.netlink, err = openNetlink(s.namespace)
	return s, err
}

// verify looks at what arrives at the backends: every SYN of the probe, rewritten
// to a backend of the service that it asked for, and to all of them in the end.
func (s *stage) verify() error {
	if s.layout.variant == closed {
		flows, err := s.look(verified)
		if err == nil && len(flows) > 0 {
			err = fmt.Errorf("%d packets arrived at the backends", len(flows))
		}
		return err
	}
	if s.backends == nil || len(s.backends(s.to[0])) == 0 {
		for _, to := range s.to {
			lead := s.balancer.nowhere
			if s.backends != nil {
				lead = s.balancer.throughTo
			}
			if err := lead(to.Addr()); err != nil {
				return err
			}
		}
	}
	for deadline := time.Now().Add(s.settle); ; {
		flows, err := s.look(1)
		if err != nil {
			return err
		}
		if len(flows) > 0 {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("no packet arrives at the backends")
		}
	}
	n := verified
	if s.backends != nil {
		n = max(n, verifiedPerBackend*len(s.backends(s.to[0])))
	}
	first := s.sender.next
	flows, err := s.look(n)
	if err != nil {
		return err
	}
	if len(flows) != n {
		return fmt.Errorf("%d of %d packets arrived at the backends", len(flows), n)
	}
	return s.judge(flows, first)
}

// look sends SYNs and returns what arrived.
func (s *stage) look(n int) ([]flow, error) {
	capture, err := newCapture(s.balancer)
	if err != nil {
		return nil, err
	}
	defer capture.close()
	s.prepare(s.probe, n)
	if _, err := s.send(0, n); err != nil {
		return nil, err
	}
	flows, err := capture.read(n)
	return flows, errors.Join(err, flush(s.netlink))
}

// judge compares what arrived with what was sent, in the same order.
func (s *stage) judge(flows []flow, first int) error {
	seen := map[netip.AddrPort]bool{}
	for i, f := range flows {
		asked := s.to[(first+i)%len(s.to)]
		switch {
		case s.backends == nil && f.to == asked:
			return fmt.Errorf("a packet for %v was not rewritten", asked)
		case s.backends != nil && !slices.Contains(orItself(s.backends(asked), asked), f.to):
			return fmt.Errorf("a packet for %v arrived at %v", asked, f.to)
		case s.source.IsValid() && f.from.Addr() != s.source:
			return fmt.Errorf("a packet for %v arrived from %v, not %v", asked, f.from, s.source)
		}
		seen[f.to] = true
	}
	if s.backends == nil || len(s.to) > 1 {
		return nil
	}
	if all := len(s.backends(s.to[0])); len(seen)*100 < all*95 || all <= perService && len(seen) < all {
		return fmt.Errorf("%d packets reached %d backends of %d", len(flows), len(seen), all)
	}
	return nil
}

// orItself is where a packet may go: to its backends, or where it wanted to.
func orItself(backends []netip.AddrPort, asked netip.AddrPort) []netip.AddrPort {
	if len(backends) == 0 {
		return []netip.AddrPort{asked}
	}
	return backends
}

// calibrate chooses how many SYNs make a sample: the fewest in a quick run.
func (s *stage) calibrate(quick bool) error {
	s.count = fewest
	if quick {
		return nil
	}
	cost, err := s.sample()
	if err != nil {
		return err
	}
	s.count = min(max(int(sampleTime/max(cost, 1)), fewest), most)
	return nil
}

// sample measures the time of one first packet, on a steady thread. A packet that
// the kernel put off is not in the time, so the sample is taken again; one that
// never arrives is an error.
func (s *stage) sample() (time.Duration, error) {
	var err error
	for range retries {
		var took time.Duration
		if took, err = s.try(); err == nil {
			return took / time.Duration(s.count), nil
		}
	}
	return 0, err
}

// try takes one sample and makes sure that every packet of it went all the way
// while the clock ran, and that each was a new connection if conntrack is on.
func (s *stage) try() (time.Duration, error) {
	s.prepare(s.probe, warmUp+s.count)
	if _, err := s.send(0, warmUp); err != nil {
		return 0, err
	}
	before, err := s.read()
	if err != nil {
		return 0, err
	}
	took, err := s.send(warmUp, s.count)
	if err != nil {
		return 0, err
	}
	after, err := s.read()
	if err := errors.Join(err, flush(s.netlink)); err != nil {
		return 0, err
	}
	arrived, entries, failed := after.arrived-before.arrived, after.entries-before.entries, after.failed-before.failed
	through, tracked := s.count, s.count
	if s.layout.variant == closed {
		through = 0
	}
	if s.layout.rules == nil {
		tracked = 0
	}
	if arrived != through || entries != tracked || failed != 0 {
		return 0, fmt.Errorf("of %d packets %d arrived at the backends, %d are in conntrack, %d failed there", s.count, arrived, entries, failed)
	}
	return took, nil
}

// measure takes a sample of each stage in each round, every other round backwards,
// and returns them by the stage's name, in microseconds.
func measure(stages []*stage, rounds int) (map[string][]float64, error) {
	samples := map[string][]float64{}
	failure := make(chan error)
	go func() {
		runtime.LockOSThread() // and no unlock: the thread ends with what steady made of it
		if err := steady(); err != nil {
			failure <- err
			return
		}
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		order := slices.Clone(stages)
		for range rounds {
			for _, s := range order {
				took, err := s.sample()
				if err != nil {
					failure <- fmt.Errorf("%s: %w", s.name, err)
					return
				}
				samples[s.name] = append(samples[s.name], float64(took)/1e3)
			}
			slices.Reverse(order)
			runtime.GC()
		}
		failure <- nil
	}()
	return samples, <-failure
}
