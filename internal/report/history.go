package report

import (
	"fmt"
	"strings"
	"time"

	"natspread/internal/config"
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
}

// HistoryOf describes generations.
func HistoryOf(entries []generation.Entry) History {
	history := History{Generations: make([]HistoryEntry, len(entries))}
	for i, entry := range entries {
		history.Generations[i] = historyEntryOf(entry)
	}
	return history
}

// historyEntryOf describes a generation, and counts what is in its own config.
func historyEntryOf(entry generation.Entry) HistoryEntry {
	described := HistoryEntry{
		Generation: entry.Number, Created: entry.Created, Command: entry.Command,
		Version: entry.Version, Variant: string(entry.Variant), Current: entry.IsCurrent, Boot: entry.IsBoot,
		Pending: entry.IsPending,
	}
	if entry.Problem != nil {
		described.Problem = entry.Problem.Error()
		return described
	}
	if cfg, err := config.ParseGeneration(entry.Number, entry.Config); err == nil {
		services, backends := len(cfg.Services), cfg.CountBackends()
		described.Services, described.Backends = &services, &backends
	}
	return described
}

// Text returns the history for people, a line for each generation.
func (h History) Text() string {
	const columns = "%10v  %-19s  %8s  %8s  %s\n"
	var written strings.Builder
	fmt.Fprintf(&written, columns, "generation", "made", "services", "backends", "by")
	for _, e := range h.Generations {
		made := "?"
		if !e.Created.IsZero() {
			made = e.Created.Local().Format(time.DateTime)
		}
		fmt.Fprintf(&written, columns, e.Generation, made, orUnknown(e.Services), orUnknown(e.Backends), e.words())
	}
	return written.String()
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
		marks = append(marks, text.OneLine(e.Problem))
	}
	if len(marks) == 0 {
		return text.OneLine(by)
	}
	return text.OneLine(by) + "  (" + strings.Join(marks, "; ") + ")"
}
