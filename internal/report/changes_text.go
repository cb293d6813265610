package report

import (
	"fmt"
	"strings"

	"natspread/internal/screen"
	"natspread/internal/text"
)

// changesText writes changes for people.
func changesText(on screen.Screen, changes []ServiceChange) string {
	var written strings.Builder
	for i, change := range changes {
		if i > 0 {
			written.WriteString("\n")
		}
		change.write(on, &written)
	}
	return written.String()
}

// mark returns what the line of a change begins with, and its style.
func mark(on screen.Screen, change string) (sign string, style func(string) string) {
	asIs := func(text string) string { return text }
	switch change {
	case "added":
		return "+", on.Bold
	case "removed":
		return "-", on.Red
	case "changed", "weight", "drained", "undrained", "backup", "primary":
		return "~", asIs
	}
	return " ", asIs
}

// write writes a line for the service, one for each setting, and those of its backends.
func (c ServiceChange) write(on screen.Screen, to *strings.Builder) {
	add := func(line string) { to.WriteString(on.Wrap(line) + "\n") }
	sign, style := mark(on, c.Change)
	name := c.Name
	if c.Change == "changed" {
		name = on.Bold(name)
	}
	to.WriteString(on.WrapList(style(fmt.Sprintf("%s %s  %s", sign, name, c.head))) + "\n")
	for _, setting := range c.Settings {
		add(fmt.Sprintf("  ~ %s %s -> %s", setting.Key, setting.Before, setting.After))
	}
	to.WriteString(screen.Table{Indent: 2, Columns: make([]screen.Column, 3), Rows: c.backendRows(on)}.Text(on))
	if c.Reordered {
		add("    the order of its backends changes")
	}
	if c.Clients != nil && c.Clients.Moved > 0 {
		add("    " + c.Clients.String())
	}
}

// backendRows returns a row for each backend that changes. Those that
// only have another share, because of the others, share one line where they are many
// of the same weight.
func (c ServiceChange) backendRows(on screen.Screen) []screen.Row {
	var rows []screen.Row
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
			rows = append(rows, c.row(on, b, "backend "+b.Address))
		case alike[*b.Before] > few:
			rows = append(rows, c.row(on, b, fmt.Sprintf("%d other backends", alike[*b.Before])))
			alike[*b.Before] = 0
		}
	}
	return rows
}

// row describes what becomes of a backend. In a service that is added or removed as a
// whole a backend has no share before, or after, to speak of.
func (c ServiceChange) row(on screen.Screen, b BackendChange, who string) screen.Row {
	sign, style := mark(on, b.Change)
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
	cells := []string{sign + " " + who, fromTo("weight", weight(*before), weight(*after)), fromTo("share", text.Percent(before.Share), text.Percent(after.Share))}
	for i, cell := range cells {
		cells[i] = style(cell)
	}
	return screen.Row{Cells: cells}
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
