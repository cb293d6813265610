package watcher

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/screen"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// Report is what one round of checks said, which changed nothing.
type Report struct {
	Generation int       `json:"generation"`
	Checks     []Checked `json:"checks"`

	plain   []string // services without a check that were asked by plain tcp
	key     string   // what checks the first of them all the time
	unasked []string // services without a check that could not be asked
}

// Checked is the check of one backend of a service.
type Checked struct {
	Service string         `json:"service"`
	Backend string         `json:"backend"`
	Type    string         `json:"type"`
	Outcome health.Outcome `json:"outcome"`
	Reason  string         `json:"reason,omitempty"`
	Seconds float64        `json:"seconds"` // how long the check took
	// Unchecked tells that the config has no check, and plain tcp was tried.
	Unchecked bool `json:"unchecked,omitempty"`
}

// Once asks every backend once, those that several services share too. Those without a check are asked by plain
// tcp, unless they are drained.
func Once(ctx context.Context, s Seams) (Report, error) {
	standing, err := s.Read()
	switch {
	case err != nil:
		return Report{}, err
	case standing.Generation == 0:
		return Report{}, generation.ErrNone
	}
	own, err := s.Addresses()
	if err != nil {
		return Report{}, err
	}
	checks := append(health.Checks(standing.Config), plain(standing.Config)...)
	answers := s.askAll(ctx, checks, balancedOf(standing.Config, slices.Values(checks), own))
	report := Report{Generation: standing.Generation, Checks: []Checked{}}
	for _, service := range standing.Config.Services {
		for _, backend := range service.Backends {
			check, checked := health.Of(service, backend)
			if !checked {
				check = plainOf(service, backend)
			}
			if check != (health.Check{}) {
				report.add(service.Name, backend.String(), !checked, check, answers[check])
			}
		}
		switch {
		case service.Checked():
		case !slices.Contains(service.Protocols, config.TCP):
			report.unasked = append(report.unasked, service.Name)
		default:
			report.plain = append(report.plain, service.Name)
			report.key = cmp.Or(report.key, health.PlainKey(service))
		}
	}
	return report, ctx.Err()
}

// plainOf returns the check of a backend that has none and gets connections; the zero Check where there can be none.
func plainOf(service config.Service, backend config.Backend) health.Check {
	if check, can := health.Plain(service, backend); can && slices.Contains(service.Active(), backend) {
		return check
	}
	return health.Check{}
}

// plain returns those of all services.
func plain(cfg config.Config) []health.Check {
	var all []health.Check
	seen := map[health.Check]bool{{}: true}
	for _, service := range cfg.Services {
		for _, backend := range service.Backends {
			if check := plainOf(service, backend); !seen[check] {
				seen[check] = true
				all = append(all, check)
			}
		}
	}
	return all
}

// Unchecked says which services have no check, and what was done instead; "" where all have one.
func (r Report) Unchecked() string {
	var said []string
	if len(r.plain) > 0 {
		said = append(said, fmt.Sprintf("no check in the config: backends of %s were asked by plain tcp, and nobody takes out one that dies; fix: natspread edit # in service %s: %s", text.Few(r.plain), r.plain[0], r.key))
	}
	if len(r.unasked) > 0 {
		said = append(said, fmt.Sprintf("no check in the config, and no tcp: nobody knows whether backends of %s answer", text.Few(r.unasked)))
	}
	return strings.Join(said, "; ")
}

// add adds a check.
func (r *Report) add(service, backend string, unchecked bool, check health.Check, answer health.Answer) {
	r.Checks = append(r.Checks, Checked{
		Service: service, Backend: backend, Type: string(check.Type), Unchecked: unchecked,
		Outcome: answer.Outcome, Reason: answer.Reason, Seconds: answer.Took.Seconds(),
	})
}

// Bounds of a round: as many checks begin at a time, and in a second, as the watcher would have.
const (
	onceBatch = 100
	oncePause = 50 * time.Millisecond
)

// askAll makes checks, a batch at a time.
func (s Seams) askAll(ctx context.Context, checks []health.Check, balanced map[health.Check]string) map[health.Check]health.Answer {
	var mutex sync.Mutex
	var wait sync.WaitGroup
	answers := make(map[health.Check]health.Answer, len(checks))
	for i, check := range checks {
		if i > 0 && i%onceBatch == 0 {
			select {
			case <-time.After(oncePause):
			case <-ctx.Done():
			}
		}
		wait.Go(func() {
			answer := s.askOnce(ctx, check, balanced[check])
			mutex.Lock()
			defer mutex.Unlock()
			answers[check] = answer
		})
	}
	wait.Wait()
	return answers
}

// Bad tells whether a backend failed its check, or could not be asked.
func (r Report) Bad() bool {
	return slices.ContainsFunc(r.Checks, func(c Checked) bool { return c.Outcome != health.OK })
}

// Text writes the report as a table.
func (r Report) Text(on screen.Screen) string {
	table := screen.Table{Columns: []screen.Column{{Name: "SERVICE"}, {Name: "BACKEND"}, {Name: "CHECK"}, {Name: "RESULT"}, {Name: "TOOK", Right: true}}}
	for _, c := range r.Checks {
		took := time.Duration(c.Seconds * float64(time.Second)).Round(100 * time.Microsecond)
		outcome := string(c.Outcome)
		if c.Outcome != health.OK {
			outcome = on.Alarm(outcome)
		}
		table.Rows = append(table.Rows, screen.Row{Cells: []string{c.Service, c.Backend, c.Type, outcome, took.String()}, Note: text.OneLine(c.Reason)})
	}
	return table.Text(on)
}
