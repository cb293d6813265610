package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/report"
	"natspread/restore/generation"
)

// historyVerb describes history.
func (s *session) historyVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "history",
		Usage: "list the generations, the newest first",
		Description: "Each with the time and the verb that made it, the services and backends of its\n" +
			"config, and whether it is current: the one that boot is to load. Where that one\n" +
			"is not good, the one that boot will fall back to is marked.",
	}, "natspread history", cmdline.ReadNone, s.history)
}

// history lists the generations.
func (s *session) history(_ context.Context, _ cmdline.None) error {
	entries, err := s.store().History()
	if err != nil {
		return err
	}
	if len(entries) == 0 && !s.JSON {
		s.Printf("%v", generation.ErrNone)
		return nil
	}
	history := report.HistoryOf(entries)
	return s.Answer(history, history.Text(s.Screen()))
}
