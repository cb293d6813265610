package main

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// way is a way to the backends that connections take.
type way struct {
	name string
	*site
	to    netip.AddrPort // as it is usually set up: threads for all processors
	alone netip.AddrPort // one thread, on the last processor alone
}

// maker sets up ways, each with a site of its own.
type maker struct {
	ways       []way
	made       int // sites so far, of other makers too
	perBackend int // threads
	talk       func(fd int, number byte)
	stops      []func()
}

// make sets up a way without a process.
func (m *maker) make(name string, to netip.AddrPort, load func(*site) error) error {
	s, err := newSite(name, m.made)
	if err != nil {
		return err
	}
	m.made++
	m.ways = append(m.ways, way{name, s, to, to})
	if load != nil {
		if err := load(s); err != nil {
			return err
		}
	}
	return s.serve(m.perBackend, m.talk)
}

// proxy sets up a way through a process, which runs twice: with threads for all
// processors, and with one on the last.
func (m *maker) proxy(p proxy) error {
	if err := m.make(p.name, article().listen, nil); err != nil {
		return err
	}
	all, last, err := processors()
	if err != nil {
		return err
	}
	w := &m.ways[len(m.ways)-1]
	w.alone = netip.AddrPortFrom(w.to.Addr(), w.to.Port()+1)
	for _, run := range []struct {
		listen  netip.AddrPort
		threads int
		cpus    unix.CPUSet
	}{{w.to, all.Count(), all}, {w.alone, 1, last}} {
		stop, err := p.start(w.site, run.listen, run.threads, run.cpus)
		if err != nil {
			return err
		}
		m.stops = append(m.stops, stop)
	}
	return nil
}

// stop ends the processes.
func (m *maker) stop() {
	for _, stop := range m.stops {
		stop()
	}
}

// inTurns takes a sample of each way in each round, every other round backwards,
// and adds its figures to the samples, named by the figure and the way.
func inTurns(ways []way, rounds int, samples map[string][]float64, measure func(way) (map[string]float64, error)) error {
	order := slices.Clone(ways)
	for range rounds {
		for _, w := range order {
			sample, err := measure(w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			for figure, value := range sample {
				name := figure + " " + w.name
				samples[name] = append(samples[name], value)
			}
		}
		slices.Reverse(order)
	}
	return nil
}
