package selftest

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"natspread/internal/config"
	"natspread/internal/nethost"
)

const (
	// patience bounds each connection. A lost SYN is sent again after 1 s, and after 3 s.
	patience = 6 * time.Second

	// workers is how many connections are made at a time. Most are over at once; what gets no answer
	// keeps its worker.
	workers = 32

	// tries is how many connections a client makes that is not counted.
	tries = 3
)

// ask is one connection, and what came of it.
type ask struct {
	test   *serviceTest
	client *client
	target target
	number int    // of the target
	want   answer // what the client gets of this target
	made   bool   // it is not where another one of the same clients got no answer
	server netip.AddrPort
	seen   netip.Addr // whom the server saw
	err    error
}

// bySource tells whether the address of a client decides its backend.
func (s *serviceTest) bySource() bool { return s.service.Algorithm == config.Source }

// asksOf lists the connections of a service: all of one target together, since turns may go by it.
func asksOf(s *serviceTest) []*ask {
	var all []*ask
	var counted []*client
	for i := range s.clients {
		if s.clients[i].counted {
			counted = append(counted, &s.clients[i])
		}
	}
	for i, t := range s.targets {
		add := func(c *client) {
			all = append(all, &ask{test: s, client: c, target: t, number: i, want: s.wantAt(i, c)})
		}
		for n := i * s.share / len(s.targets); n < (i+1)*s.share/len(s.targets) && len(counted) > 0 && !s.bySource(); n++ {
			add(counted[n%len(counted)])
		}
		for n, c := range counted {
			// Each asks for two of the targets, to see whether it gets the same backend.
			if s.bySource() && (n%len(s.targets) == i || (n+1)%len(s.targets) == i) {
				add(c)
			}
		}
		for n := range s.clients {
			if !s.clients[n].counted {
				for range (tries-1)/len(s.targets) + 1 {
					add(&s.clients[n])
				}
			}
		}
	}
	return all
}

// wantAt is what a client gets of a target. Whom no rule leads to the service finds what the
// balancer itself has there, if it has a program there.
func (s *serviceTest) wantAt(number int, c *client) answer {
	t := s.targets[number]
	if s.programs[server{t.protocol, s.at(t, *c)}] && (c.place == other || c.place == itself && !s.service.Local) {
		return byHost
	}
	return c.want
}

// silentClients are the clients of one place of a service of which one got no answer. The others are not
// waited for.
type silentClients struct{ all sync.Map }

// silentGroup names such clients.
type silentGroup struct {
	test  *serviceTest
	place place
}

// run makes connections.
func (s *testbed) run(ctx context.Context, asks []*ask) error {
	var next atomic.Int64
	var silent silentClients
	failures := make([]error, workers)
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() {
			failures[i] = nethost.OnThread(func() error {
				var at *nethost.Host
				for {
					n := int(next.Add(1)) - 1
					if n >= len(asks) || ctx.Err() != nil {
						return ctx.Err()
					}
					host := s.hostOf(asks[n].client)
					if host != at {
						if err := host.Enter(); err != nil {
							return err
						}
						at = host
					}
					asks[n].make(s, host, &silent)
				}
			})
		})
	}
	wait.Wait()
	return errors.Join(failures...)
}

// hostOf returns where a client is.
func (s *testbed) hostOf(c *client) *nethost.Host {
	if c.place == itself {
		return s.balancer
	}
	return s.hosts[c.by]
}

// make makes the connection from the calling thread, which is on the client's host.
func (a *ask) make(s *testbed, host *nethost.Host, silent *silentClients) {
	key := silentGroup{a.test, a.client.place}
	if _, known := silent.all.Load(key); known {
		return
	}
	a.made = true
	server, seen, err := s.askers[host].At(a.client.address).Ask(string(a.target.protocol), a.test.at(a.target, *a.client).String(), patience)
	if err == nil {
		if a.server, err = netip.ParseAddrPort(server); err == nil {
			a.server = netip.AddrPortFrom(a.server.Addr().Unmap(), a.server.Port())
			a.seen, err = netip.ParseAddr(seen)
			a.seen = a.seen.Unmap()
		}
	}
	if a.err = err; err != nil && !a.refused() {
		silent.all.Store(key, true)
	}
}

// refused tells whether the connection was refused, rather than not answered.
func (a *ask) refused() bool { return errors.Is(a.err, syscall.ECONNREFUSED) }

// answer returns what the client got, and from which backend by its place; "" is no answer.
func (a *ask) answer() (got answer, backend int) {
	switch {
	case !a.made:
		return "", -1
	case a.err != nil && a.refused():
		return refused, -1
	case a.err != nil:
		return "", -1
	}
	if a.want == byHost && a.server == a.test.at(a.target, *a.client) {
		return byHost, -1
	}
	if place, known := a.test.answers[a.number][a.server]; known {
		return served, place
	}
	if a.server == a.test.at(a.target, *a.client) {
		return byHost, -1
	}
	return "", -1
}
