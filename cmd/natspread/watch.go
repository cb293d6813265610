package main

import (
	"context"
	"time"

	"natspread/internal/cmdline"
	"natspread/internal/failure"
	"natspread/internal/report"
	"natspread/internal/terminal"
	"natspread/internal/text"
)

// watchStep is how often status --watch reads.
const watchStep = 2 * time.Second

// watch shows the status again and again, until it is interrupted: that is how it is
// meant to end, so it then exits by what it read last. Trouble is shown, too, and may be
// gone the next time, unless there is nothing but trouble from the beginning.
func (s *session) watch(ctx context.Context, o statusOptions) error {
	s.Line = nil // what was read last stays meanwhile
	clock := time.NewTicker(watchStep)
	defer clock.Stop()
	var last error
	for read := false; ; read = true {
		status, err := s.collect(ctx, o)
		switch {
		case ctx.Err() != nil && read:
			return last
		case err != nil && !read:
			return err
		case err != nil:
			last = cmdline.ExitSilently(exitCode(err))
			err = s.showTrouble(err, time.Now())
		default:
			last = statusExit(status.State)
			err = s.show(status, o, time.Now())
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

// show writes what was read: a terminal is drawn anew, to others go lines.
func (s *session) show(status report.Status, o statusOptions, now time.Time) error {
	switch {
	case s.JSON:
		return s.PrintJSONLine(status)
	case terminal.Is(s.Out):
		text := status.Text(s.Screen(), o.all)
		if !o.all && terminal.SizeOf(s.Out).Fit("\n"+text) != "\n"+text { // below the time
			text = status.Brief(s.Screen())
		}
		return s.refresh(text, now)
	}
	return s.Print(status.Lines(now))
}

// showTrouble shows why nothing was read: on the terminal, in the place of the
// status, and else where errors are.
func (s *session) showTrouble(trouble error, now time.Time) error {
	if !s.JSON && terminal.Is(s.Out) {
		return s.refresh("natspread: "+text.OneLine(trouble.Error())+"\n", now)
	}
	s.complain(trouble)
	if s.JSON {
		return s.PrintJSONLine(failure.Of(trouble, exitCode(trouble)))
	}
	return nil
}

// refresh draws a text on the terminal, as much of it as there is room for.
func (s *session) refresh(screen string, now time.Time) error {
	return s.Print(terminal.Redraw(terminal.SizeOf(s.Out).Fit(now.Format(time.DateTime) + "\n" + screen)))
}
