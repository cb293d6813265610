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

// awaitDrained waits, if it was asked to, until no connection is left at a backend,
// and returns how many are.
func (s *session) awaitDrained(ctx context.Context, wait time.Duration, drain change.Drain) (live int, err error) {
	progress := progress{session: s, terminal: terminal.Is(s.err)}
	defer progress.clear()
	for end := time.Now().Add(wait); ; {
		if live, err = drain.Live(ctx); err != nil {
			return 0, fmt.Errorf("the backend is drained, but its connections cannot be counted: %w", err)
		}
		left := time.Until(end)
		switch {
		case wait == 0 && live > 0:
			s.printf("%s to it: natspread status counts them", are(live))
			return live, nil
		case live == 0:
			progress.clear()
			s.printf("no connection to it is open")
			return 0, nil
		case left <= 0:
			return live, fmt.Errorf("%s after %v: %v stays drained, and keeps them", are(live), text.Duration(wait), drain.Backend)
		}
		progress.show(live, left)
		select {
		case <-ctx.Done():
			return live, fmt.Errorf("interrupted: %s: %v stays drained, and keeps them", are(live), drain.Backend)
		case <-time.After(min(left, waitStep)):
		}
	}
}

// are says how many connections there still are.
func are(live int) string {
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
		fmt.Fprintf(p.err, terminal.ClearLine+"%s, waiting for %v more", are(live), text.Duration(left.Round(time.Second)))
	case live != p.last:
		p.printf("%s", are(live))
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
