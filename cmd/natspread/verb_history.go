package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/config"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// historyVerb describes history.
func (s *session) historyVerb() *cli.Command {
	return verb(s, &cli.Command{
		Name:  "history",
		Usage: "list the generations, the newest first",
		Description: "Each with the time and the verb that made it, the services and backends of its\n" +
			"config, and whether it is current: the one that boot is to load. Where that one\n" +
			"is not good, the one that boot will fall back to is marked.",
	}, "natspread history", readNone, s.history)
}

// historyResult is what history prints with --json.
type historyResult struct {
	Generations []historyEntry `json:"generations"` // the newest first
}

// historyEntry is one generation in the output of history.
type historyEntry struct {
	Generation int       `json:"generation"`
	Created    time.Time `json:"created"`            // UTC; year 1 when it cannot be read
	Command    string    `json:"command"`            // the verb that made it, as in "rollback 3"
	Version    string    `json:"version"`            // of natspread
	Variant    string    `json:"variant"`            // of the iptables that it is for
	Services   *int      `json:"services,omitempty"` // absent when its config does not say
	Backends   *int      `json:"backends,omitempty"` // as services
	Current    bool      `json:"current"`            // boot is to load it
	Boot       bool      `json:"boot"`               // boot will end up with it
	Pending    bool      `json:"pending"`            // it is loaded, and waits to be confirmed
	Problem    string    `json:"problem,omitempty"`  // why it is not good
}

// history lists the generations.
func (s *session) history(_ context.Context, _ noOptions) error {
	entries, err := s.store().History()
	if err != nil {
		return err
	}
	result := historyResult{Generations: make([]historyEntry, len(entries))}
	for i, entry := range entries {
		result.Generations[i] = historyEntryOf(entry)
	}
	if s.json {
		return s.printJSON(result)
	}
	if len(entries) == 0 {
		s.printf("%v", generation.ErrNone)
		return nil
	}
	return s.print(result.text())
}

// historyEntryOf describes a generation, and counts what is in its own config.
func historyEntryOf(entry generation.Entry) historyEntry {
	described := historyEntry{
		Generation: entry.Number, Created: entry.Created, Command: entry.Command,
		Version: entry.Version, Variant: string(entry.Variant), Current: entry.IsCurrent, Boot: entry.IsBoot,
		Pending: entry.IsPending,
	}
	if entry.Problem != nil {
		described.Problem = entry.Problem.Error()
		return described
	}
	// A config of another version need not parse; its rules are as good as ever.
	if cfg, err := config.Parse("config", entry.Config); err == nil {
		services, backends := len(cfg.Services), change.Plan{Config: cfg}.Backends()
		described.Services, described.Backends = &services, &backends
	}
	return described
}

// text returns the history for people, a line for each generation.
func (r historyResult) text() string {
	const columns = "%10v  %-19s  %8s  %8s  %s\n"
	var text strings.Builder
	fmt.Fprintf(&text, columns, "generation", "made", "services", "backends", "by")
	for _, e := range r.Generations {
		made := "?"
		if !e.Created.IsZero() {
			made = e.Created.Local().Format(time.DateTime)
		}
		fmt.Fprintf(&text, columns, e.Generation, made, orUnknown(e.Services), orUnknown(e.Backends), e.words())
	}
	return text.String()
}

// orUnknown writes a number that may be unknown.
func orUnknown(n *int) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

// words says which verb made a generation, and what it is now.
func (e historyEntry) words() string {
	by := e.Command
	if by == "" {
		by = "?"
	}
	var marks []string
	if e.Current {
		marks = append(marks, "current")
	}
	if e.Boot && !e.Current {
		marks = append(marks, "boot falls back to it")
	}
	if e.Pending {
		marks = append(marks, "waits to be confirmed")
	}
	if e.Problem != "" {
		marks = append(marks, text.OneLine(e.Problem))
	}
	if len(marks) == 0 {
		return text.OneLine(by)
	}
	return text.OneLine(by) + "  (" + strings.Join(marks, "; ") + ")"
}
