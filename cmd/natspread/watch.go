package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// watchStep is how often status --watch looks.
const watchStep = 2 * time.Second

// watch shows the status again and again, until it is interrupted: that is how it is
// meant to end, so it then exits by what it saw last. Trouble is shown, too, and may be
// gone the next time, unless there is nothing but trouble from the beginning.
func (s *session) watch(ctx context.Context, o options) error {
	silent := o
	silent.quiet = true // what is only talk would be said each time
	clock := time.NewTicker(watchStep)
	defer clock.Stop()
	var last error
	for looked := false; ; looked = true {
		result, err := s.survey(ctx, silent)
		switch {
		case ctx.Err() != nil && looked:
			return last
		case err != nil && !looked:
			return err
		case err != nil:
			last = exitSilently(exitCode(err))
			err = s.showTrouble(o, err, time.Now())
		default:
			last = statusExit(result.State)
			err = s.show(o, result, time.Now())
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return last
		case <-clock.C:
		}
	}
}

// show writes what was seen: a terminal is drawn anew, to others go lines.
func (s *session) show(o options, result statusResult, now time.Time) error {
	switch {
	case o.json:
		text, err := json.Marshal(result.filled())
		if err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
		return s.print(string(text) + "\n")
	case isTerminal(s.out):
		return s.refresh(s.statusText(o, result), now)
	}
	return s.print(result.lines(now))
}

// showTrouble shows why nothing was seen: where it was looked for on a terminal, and
// else where errors are.
func (s *session) showTrouble(o options, trouble error, now time.Time) error {
	if !o.json && isTerminal(s.out) {
		return s.refresh("natspread: "+oneLine(trouble.Error())+"\n", now)
	}
	s.complain(trouble)
	return nil
}

// refresh draws a text on the terminal, as much of it as there is room for.
func (s *session) refresh(text string, now time.Time) error {
	return s.print(redraw(sizeOf(s.out).fit(now.Format(time.DateTime) + "\n" + text)))
}

// redraw returns a text that takes the place of what is on a terminal: from the top,
// each line cleared behind its end, and all below the last (ECMA-48: CUP, EL, ED). To
// clear everything first would flicker.
func redraw(text string) string {
	return "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
}

// lines returns a line for each service, and one for the state where there is none.
func (r statusResult) lines(now time.Time) string {
	begin := now.UTC().Format(time.RFC3339) + "  " + string(r.State)
	if len(r.Services) == 0 {
		return begin + "\n"
	}
	var text strings.Builder
	for _, service := range r.Services {
		fmt.Fprintf(&text, "%s  %s  %d connections%s\n", begin, service.Name, service.Connections, liveText(", %d live", service.Live))
	}
	return text.String()
}
