package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"natspread/internal/compare"
	"natspread/internal/config"
	"natspread/internal/screen"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// History is what history prints.
type History struct {
	Generations []HistoryEntry `json:"generations"` // the newest first
}

// HistoryEntry is one generation in a History.
type HistoryEntry struct {
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
	Changes    *Changes  `json:"changes,omitempty"`  // to the good one before it; absent where one of the two does not say
}

// Changes counts the services that differ between two generations.
type Changes struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
}

// String says it in words: 1 service added, 2 changed.
func (c Changes) String() string {
	var words []string
	for _, one := range []struct {
		n   int
		how string
	}{{c.Added, "added"}, {c.Removed, "removed"}, {c.Changed, "changed"}} {
		switch {
		case one.n > 0 && len(words) == 0:
			words = append(words, text.Plural(one.n, "service")+" "+one.how)
		case one.n > 0:
			words = append(words, fmt.Sprintf("%d %s", one.n, one.how))
		}
	}
	if len(words) == 0 {
		return "no service changed"
	}
	return strings.Join(words, ", ")
}

// HistoryOf describes generations.
func HistoryOf(entries []generation.Entry) History {
	history := History{Generations: make([]HistoryEntry, len(entries))}
	var before *config.Config // of the good one before
	for i, entry := range slices.Backward(entries) {
		described, cfg := historyEntryOf(entry)
		if cfg != nil {
			if before != nil {
				described.Changes = changesOf(*before, *cfg)
			}
			before = cfg
		}
		history.Generations[i] = described
	}
	return history
}

// historyEntryOf describes a generation, and counts what is in its own config, which it returns,
// too; nil where the generation is not good, or its config cannot be read.
func historyEntryOf(entry generation.Entry) (HistoryEntry, *config.Config) {
	described := HistoryEntry{
		Generation: entry.Number, Created: entry.Created, Command: entry.Command,
		Version: entry.Version, Variant: string(entry.Variant), Current: entry.IsCurrent, Boot: entry.IsBoot,
		Pending: entry.IsPending,
	}
	if entry.Problem != nil {
		described.Problem = entry.Problem.Error()
		return described, nil
	}
	cfg, err := config.ParseGeneration(entry.Number, entry.Config)
	if err != nil {
		return described, nil
	}
	services, backends := len(cfg.Services), cfg.CountBackends()
	described.Services, described.Backends = &services, &backends
	return described, &cfg
}

// changesOf counts what becomes of the services from one config to another.
func changesOf(before, after config.Config) *Changes {
	var counted Changes
	for _, change := range compare.Configs(before, after) {
		counted.count(change)
	}
	return &counted
}

// count counts one service.
func (c *Changes) count(change compare.ServiceChange) {
	switch {
	case change.Before == nil:
		c.Added++
	case change.After == nil:
		c.Removed++
	default:
		c.Changed++
	}
}

// Text returns the history for people: a line for each generation, and below them why some are not good.
func (h History) Text(on screen.Screen) string {
	table := screen.Table{Columns: []screen.Column{
		{Name: "GENERATION", Right: true}, {Name: "MADE"}, {Name: "SERVICES", Right: true}, {Name: "BACKENDS", Right: true},
	}, Notes: "BY"}
	problems := ""
	for _, e := range h.Generations {
		made := "?"
		if !e.Created.IsZero() {
			made = e.Created.Local().Format(time.DateTime)
		}
		number, by := fmt.Sprint(e.Generation), e.words()
		switch {
		case e.Problem != "":
			number, by, problems = on.Red(number), on.Red(by), problems+on.Wrap(text.OneLine(e.Problem))+"\n"
		case e.Current:
			number, by = on.Bold(number), on.Bold(by)
		}
		table.Rows = append(table.Rows, screen.Row{Cells: []string{number, made, orUnknown(e.Services), orUnknown(e.Backends)}, Note: by})
	}
	return table.Text(on) + problems
}

// orUnknown writes a number that may be unknown.
func orUnknown(n *int) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

// words says which verb made a generation, and what it is now.
func (e HistoryEntry) words() string {
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
		marks = append(marks, "not good")
	}
	if e.Changes != nil {
		by += ": " + e.Changes.String()
	}
	if len(marks) == 0 {
		return text.OneLine(by)
	}
	return text.OneLine(by) + "  (" + strings.Join(marks, "; ") + ")"
}
