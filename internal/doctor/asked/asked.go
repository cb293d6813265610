// Package asked asks backends that nobody checks whether somebody accepts connections there.
package asked

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/probe"
	"natspread/internal/text"
)

// Bounds: how many backends are asked, and how many at a time. Who has more is told that they were not asked.
const (
	most   = 512
	atOnce = 128
)

// Service is what came of asking the backends of a service that has no check.
type Service struct {
	config.Service
	Silent []Silent // those that did not accept
	Left   bool     // they were not asked
}

// Silent is a backend that did not accept a connection.
type Silent struct {
	Backend config.Backend
	Reason  error
}

// All asks the backends that get connections of all services without checks, except those that pass keeps out: what
// is known to be wrong with them is said elsewhere. A backend that this host could not ask counts as
// well.
func All(ctx context.Context, services []config.Service, pass func(config.Service, netip.Addr) bool) []Service {
	var all []Service
	asked := map[health.Check]error{}
	for _, service := range services {
		if service.Checked() {
			continue
		}
		one := Service{Service: service}
		for _, backend := range service.Active() {
			check, can := health.Plain(service, backend)
			switch {
			case !can || len(asked) >= most:
				one.Left = true
			case pass(service, backend.Addr):
				asked[check] = nil
			}
		}
		all = append(all, one)
	}
	ask(ctx, asked)
	for i := range all {
		for _, backend := range all[i].Active() {
			check, _ := health.Plain(all[i].Service, backend)
			if err := asked[check]; err != nil {
				all[i].Silent = append(all[i].Silent, Silent{backend, err})
			}
		}
	}
	return all
}

// Refuse tells whether one refused. Silence may also be that of a firewall for this host alone.
func (s Service) Refuse() bool {
	return slices.ContainsFunc(s.Silent, func(one Silent) bool { return errors.Is(one.Reason, syscall.ECONNREFUSED) })
}

// What says who did not accept.
func (s Service) What() string {
	var said []string
	for _, one := range s.Silent {
		said = append(said, fmt.Sprintf("%v (%s)", one.Backend, one.Reason))
	}
	does := "accept no connections, and no check takes them out"
	if len(said) == 1 {
		does = "accepts no connections, and no check takes it out"
	}
	return fmt.Sprintf("%d of %s of %s %s: %s", len(said), text.Plural(len(s.Active()), "backend"), s.Name, does, text.Few(said))
}

// Fix is the line that gives the others all connections; where there are none, it is for a person.
func (s Service) Fix() string {
	const mostLines = 3
	if len(s.Silent) == len(s.Active()) || len(s.Silent) > mostLines {
		return "# start what listens there"
	}
	var lines []string
	for _, one := range s.Silent {
		backend := one.Backend.String()
		if strings.Contains(backend, "[") { // a pattern of the shell
			backend = "'" + backend + "'"
		}
		lines = append(lines, fmt.Sprintf("natspread drain %s %s", s.Written(), backend))
	}
	return fmt.Sprintf("%s # until it answers; for good: natspread edit, in service %s: %s", strings.Join(lines, " && "), s.Written(), health.PlainKey(s.Service))
}

// ask makes the checks.
func ask(ctx context.Context, asked map[health.Check]error) {
	var mutex sync.Mutex
	var wait sync.WaitGroup
	room := make(chan struct{}, atOnce)
	checks := make([]health.Check, 0, len(asked))
	for check := range asked {
		checks = append(checks, check)
	}
	for _, check := range checks {
		room <- struct{}{}
		wait.Go(func() {
			defer func() { <-room }()
			err := probe.Target{Kind: probe.TCP, Address: check.Target, Source: check.Source, Timeout: check.Timeout}.Do(ctx)
			if unable := new(probe.Unable); errors.As(err, &unable) {
				err = nil
			}
			mutex.Lock()
			defer mutex.Unlock()
			asked[check] = err
		})
	}
	wait.Wait()
}
