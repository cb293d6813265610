package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"natspread/internal/rules"
	"natspread/restore/flows"
	"natspread/restore/generation"
)

// change is what a load makes of tracked connections.
type change struct {
	flows.Change
	unread error // why it is not known what was balanced before, or is now
}

// changeLater finds out at once, beside what is done meanwhile, what a change takes
// out, and returns what waits for it: thousands of services take a while.
func (h Host) changeLater(from, to generation.Generation) func() change {
	found := make(chan change, 1)
	go func() { found <- h.change(from, to) }()
	return sync.OnceValue(func() change { return <-found })
}

// change returns what a load of one generation in place of another changes. None balances
// nothing.
func (h Host) change(from, to generation.Generation) change {
	c := change{Change: flows.Change{Tables: to.Tables}}
	if from.Number == 0 || from.Number == to.Number {
		return c // nothing is taken out
	}
	before, err := h.services(from)
	after, errAfter := h.services(to)
	if c.unread = errors.Join(err, errAfter); c.unread != nil {
		c.Unknown = from.Tables
		return c
	}
	c.Before, c.After = flows.NewIndex(before), flows.NewIndex(after)
	return c
}

// services returns what a generation balances. One of natspread 0.1 does not say it:
// then Host.Services may.
func (h Host) services(g generation.Generation) ([]rules.VirtualService, error) {
	name := fmt.Sprintf("generation %d", g.Number)
	if g.Number == 0 {
		name = "the new generation"
	}
	known, found := h.Services[g.Number]
	switch {
	case g.Services == nil && found:
		return known, nil
	case g.Services == nil && !g.Tables.Equal(rules.NoTables()):
		return nil, fmt.Errorf("%s does not say which backends it has", name)
	case g.Services == nil:
		return nil, nil
	}
	services, err := rules.DecodeServices(g.Services)
	if err != nil {
		return nil, fmt.Errorf("cannot read which backends %s has: %w", name, err)
	}
	return services, nil
}

// deleteStale deletes the stale entries of a change, and adds to a result what became of
// connections. The change stands already, so a failure is reported and reverts nothing.
func (r *Result) deleteStale(ctx context.Context, c change) {
	deleted, err := c.DeleteStale(ctx)
	r.DeletedEntries = deleted
	if err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%v: UDP may go on to a backend that was taken out, until its client pauses", err))
	}
	if c.unread != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%v: every UDP connection of its services was deleted, and no TCP connection", c.unread))
	}
}
