package main

import (
	"context"
	"fmt"
	"time"

	"natspread/internal/change"
	"natspread/internal/terminal"
	"natspread/internal/text"
)

// waitStep is how often the connections of a drained backend are counted.
const waitStep = time.Second

// awaitDrained waits, if it was asked to, until no connection is left at the backends of an
// edit, and returns how many are at each.
func (s *session) awaitDrained(ctx context.Context, wait time.Duration, edit change.Edit) ([]int, error) {
	progress := progress{session: s, terminal: terminal.Is(s.err)}
	defer progress.clear()
	for end := time.Now().Add(wait); ; {
		each, err := edit.Live(ctx)
		if err != nil {
			return nil, fmt.Errorf("drained, but the connections cannot be counted: %w", err)
		}
		live := 0
		for _, n := range each {
			live += n
		}
		left := time.Until(end)
		switch {
		case wait == 0 && live > 0:
			s.printf("%s: natspread status counts them", stillOpen(live))
			return each, nil
		case live == 0:
			progress.clear()
			s.printf("no connection there is open")
			return each, nil
		case left <= 0:
			return each, fmt.Errorf("%s after %v: what was drained stays so, and keeps them; --now ends them", stillOpen(live), text.Duration(wait))
		}
		progress.show(live, left)
		select {
		case <-ctx.Done():
			return each, fmt.Errorf("interrupted: %s: what was drained stays so, and keeps them", stillOpen(live))
		case <-time.After(min(left, waitStep)):
		}
	}
}

// stillOpen says how many connections there still are.
func stillOpen(live int) string {
	if live == 1 {
		return "1 connection is still open"
	}
	return fmt.Sprintf("%d connections are still open", live)
}

// progress is one line on a terminal that changes; elsewhere it is a new line for
// each new number.
type progress struct {
	*session
	terminal bool
	last     int
}

// show shows what is waited for.
func (p *progress) show(live int, left time.Duration) {
	switch {
	case p.quiet:
	case p.terminal:
		fmt.Fprintf(p.err, terminal.ClearLine+"%s, waiting for %v more", stillOpen(live), text.Duration(left.Round(time.Second)))
	case live != p.last:
		p.printf("%s", stillOpen(live))
	}
	p.last = live
}

// clear takes the line away.
func (p *progress) clear() {
	if p.terminal && p.last > 0 && !p.quiet {
		fmt.Fprint(p.err, terminal.ClearLine)
	}
	p.last = 0
}
