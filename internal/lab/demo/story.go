package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"natspread/internal/config"
	"natspread/internal/lab/netns"
	"natspread/internal/test/netnstest"
)

// root is where the first balancer keeps its files, and secondRoot the second one: in memory,
// since /run is the demo's own.
const (
	root       = "/run/one"
	secondRoot = "/run/two"
)

// story is what is played, in which roles.
type story struct {
	screen
	program     string
	variant     string // "" is the host's own
	connections int
	service     config.Service
	listen      string
	network     network
	acts        string // by their numbers, those that follow on the first two
	number      int    // of the act that is played
	home        string // the backend of each client, once they keep them
}

// inside plays the story in namespaces that are its own, or so many applies instead.
func inside(left string, s story, applies int) error {
	if err := netns.Settle(left, netns.Own); err != nil {
		return err
	}
	example, err := config.Parse("the embedded example", config.Example())
	if err != nil {
		return err
	}
	s.service = example.Services[0]
	s.listen = s.service.Listen[0].String()
	if applies > 0 {
		return s.soak(applies)
	}
	began := time.Now()
	if err := s.play(); err != nil {
		return err
	}
	s.say("%s in %.1f s; nothing is left behind.", s.paint(bold, "Done"), time.Since(began).Seconds())
	return nil
}

// play plays all acts.
func (s *story) play() error {
	if err := errors.Join(s.stage(), s.typable()); err != nil {
		return err
	}
	for i, act := range []func() error{s.shares, s.keep, s.death, s.unconfirmed, s.reboot, s.takeover} {
		s.number = i + 1
		if !strings.Contains("12"+s.acts, fmt.Sprint(s.number)) {
			continue
		}
		if err := act(); err != nil {
			return err
		}
		s.say("")
	}
	return nil
}

// act begins the act.
func (s *story) act(title, words string) {
	s.say("%s\n   %s\n", s.paint(bold, fmt.Sprintf("%d. %s", s.number, title)), words)
}

// stage builds the network and shows it.
func (s *story) stage() error {
	if err := errors.Join(os.Mkdir(root, 0o755), os.Mkdir(secondRoot, 0o755)); err != nil {
		return err
	}
	var backends []netip.Addr
	for _, backend := range s.service.Backends {
		backends = append(backends, backend.Addr)
	}
	vip := s.service.Listen[0].Addr
	var err error
	if s.network, err = build(vip, backends); err != nil {
		return err
	}
	s.say("%s what it does, in network namespaces of its own.\n", s.paint(bold, "natspread:"))
	lead := fmt.Sprintf("  clients 192.0.2.x -- %v balancer %s --", vip, inner)
	for i, backend := range s.service.Backends {
		if err := serve(s.network.backends[i], backend.String()); err != nil {
			return err
		}
		s.say("%s %v %s", lead, backend.Addr, backendName(i))
		lead = strings.Repeat(" ", len(lead)-2) + "--"
	}
	s.say("")
	if err := s.network.refused(s.listen); err != nil {
		return fmt.Errorf("before the first rule %w", err)
	}
	return nil
}

// result is who answered, in the order of the service's backends.
type result struct {
	backends  []string
	weights   []float64
	counts    []int
	statistic float64
	fair      bool
}

// wanted is the share that a backend should get.
func (r result) wanted(i int) float64 { return r.weights[i] / sum(r.weights) }

// seen is the share that it got.
func (r result) seen(i int) float64 { return float64(r.counts[i]) / float64(sum(r.counts)) }

// sum adds up.
func sum[T int | float64](all []T) (total T) {
	for _, one := range all {
		total += one
	}
	return total
}

// measure makes the connections and shows the shares.
func (s *story) measure() error {
	s.say("\n%d connections from the client to %s:", s.connections, s.listen)
	counts, err := s.network.askMany(s.listen, s.connections)
	if err != nil {
		return err
	}
	r, err := s.judge(counts)
	if err != nil {
		return err
	}
	if s.table(r); !r.fair {
		return errors.New("the shares are not what was wanted")
	}
	return nil
}

// judge compares what was counted with the weights.
func (s *story) judge(counts map[string]int) (result, error) {
	var r result
	for _, backend := range s.service.Backends {
		name := backend.String()
		r.backends = append(r.backends, name)
		r.weights = append(r.weights, float64(backend.Weight))
		r.counts = append(r.counts, counts[name])
	}
	if counted := sum(r.counts); counted != s.connections {
		return result{}, fmt.Errorf("%d of %d connections reached a backend", counted, s.connections)
	}
	r.statistic, r.fair = netnstest.ChiSquare(r.counts, r.weights)
	return r, nil
}
