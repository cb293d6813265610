package report

import (
	"fmt"
	"strings"

	"natspread/internal/text"
)

// changesText writes changes for people. A line has a color, an SGR code, or "" for none.
func changesText(changes []ServiceChange, paint Paint) string {
	var written strings.Builder
	add := func(color, line string) {
		if color != "" {
			line = paint(color, line)
		}
		written.WriteString(line + "\n")
	}
	for _, change := range changes {
		change.addLines(add)
	}
	return written.String()
}

// mark returns what the line of a change begins with, and its color.
func mark(change string) (sign, color string) {
	switch change {
	case "added":
		return "+", green
	case "removed":
		return "-", red
	case "changed", "weight", "drained", "undrained", "backup", "primary":
		return "~", magenta
	}
	return " ", ""
}

// addLines adds a line for the service, one for each setting, and those of its backends.
func (c ServiceChange) addLines(add func(color, line string)) {
	sign, color := mark(c.Change)
	add(color, fmt.Sprintf("%s %s  %s", sign, c.Name, c.head))
	for _, setting := range c.Settings {
		_, color := mark("changed")
		add(color, fmt.Sprintf("  ~ %s %s -> %s", setting.Key, setting.Before, setting.After))
	}
	addColumns(c.backendRows(), add)
	if c.Reordered {
		add("", "    the order of its backends changes")
	}
	if c.Clients != nil && c.Clients.Moved > 0 {
		add("", "    "+c.Clients.String())
	}
}

// row is what the line of a backend says, by columns.
type row struct{ sign, color, who, weight, share string }

// backendRows returns a row for each backend that changes. Those that
// only have another share, because of the others, share one line where they are many
// of the same weight.
func (c ServiceChange) backendRows() []row {
	var rows []row
	alike := map[Share]int{} // how many have only another share, by what they had
	for _, b := range c.Backends {
		if b.Change == "share" {
			alike[*b.Before]++
		}
	}
	const few = 4
	for _, b := range c.Backends {
		switch {
		case b.Change == "none":
		case b.Change != "share" || alike[*b.Before] <= few && alike[*b.Before] > 0:
			rows = append(rows, c.row(b, "backend "+b.Address))
		case alike[*b.Before] > few:
			rows = append(rows, c.row(b, fmt.Sprintf("%d other backends", alike[*b.Before])))
			alike[*b.Before] = 0
		}
	}
	return rows
}

// row describes what becomes of a backend. In a service that is added or removed as a
// whole a backend has no share before, or after, to speak of.
func (c ServiceChange) row(b BackendChange, who string) row {
	sign, color := mark(b.Change)
	before, after := b.Before, b.After
	if before == nil {
		before = &Share{Weight: after.Weight, Drain: after.Drain, Backup: after.Backup}
	}
	if after == nil {
		after = &Share{Weight: before.Weight, Drain: before.Drain, Backup: before.Backup}
	}
	if c.Change == "added" {
		before = after
	}
	if c.Change == "removed" {
		after = before
	}
	return row{sign, color, who,
		fromTo("weight", weight(*before), weight(*after)),
		fromTo("share", text.Percent(before.Share), text.Percent(after.Share)),
	}
}

// weight writes the weight, and whether it counts.
func weight(s Share) string {
	words := fmt.Sprint(s.Weight)
	if s.Drain {
		words = fmt.Sprintf("drained (%d)", s.Weight)
	}
	if s.Backup {
		words += ", backup"
	}
	return words
}

// fromTo writes what something was and is, once where that is the same.
func fromTo(what, before, after string) string {
	if before == after {
		return what + " " + after
	}
	return what + " " + before + " -> " + after
}

// addColumns adds rows below one another.
func addColumns(rows []row, add func(color, line string)) {
	who, weight := 0, 0
	for _, r := range rows {
		who, weight = max(who, len(r.who)), max(weight, len(r.weight))
	}
	for _, r := range rows {
		add(r.color, fmt.Sprintf("  %s %-*s  %-*s  %s", r.sign, who, r.who, weight, r.weight, r.share))
	}
}
