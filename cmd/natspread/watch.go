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
// meant to end, so it then exits by what it saw last.
func (s *session) watch(ctx context.Context, o options) error {
	silent := o
	silent.quiet = true // what is only talk would be said each time
	clock := time.NewTicker(watchStep)
	defer clock.Stop()
	var last error
	for {
		result, err := s.survey(ctx, silent)
		switch {
		case ctx.Err() != nil:
			return last
		case err != nil:
			return err
		}
		shown, err := s.shown(o, result, time.Now())
		if err != nil {
			return err
		}
		if err := s.print(shown); err != nil {
			return err
		}
		last = statusExit(result.State)
		select {
		case <-ctx.Done():
			return last
		case <-clock.C:
		}
	}
}

// shown returns what is written each time: a terminal is drawn anew, to others go
// lines.
func (s *session) shown(o options, result statusResult, now time.Time) (string, error) {
	switch {
	case o.json:
		text, err := json.Marshal(result.filled())
		return string(text) + "\n", err
	case isTerminal(s.out):
		return redraw(now.Format(time.DateTime) + "\n" + s.statusText(o, result)), nil
	}
	return result.lines(now), nil
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
