package report

import (
	"fmt"
	"strings"

	"natspread/internal/text"
)

// line is one of a text for people, with its color: an SGR code, "" for none.
type line struct{ color, text string }

// changesText writes changes for people.
func changesText(changes []ServiceChange, paint Paint) string {
	var written strings.Builder
	for _, change := range changes {
		for _, line := range change.lines() {
			if line.color != "" {
				line.text = paint(line.color, line.text)
			}
			written.WriteString(line.text + "\n")
		}
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
	case "changed", "weight", "drained", "undrained":
		return "~", yellow
	}
	return " ", ""
}

// lines returns a line for the service, one for each setting, and those of its
// backends.
func (c ServiceChange) lines() []line {
	sign, color := mark(c.Change)
	lines := []line{{color, fmt.Sprintf("%s %s  %s", sign, c.Name, c.head)}}
	for _, setting := range c.Settings {
		_, color := mark("changed")
		lines = append(lines, line{color, fmt.Sprintf("  ~ %s %s -> %s", setting.Key, setting.Before, setting.After)})
	}
	lines = append(lines, c.backendLines()...)
	if c.Reordered {
		lines = append(lines, line{text: "    the order of its backends changes"})
	}
	return lines
}

// row is what the line of a backend says, by columns.
type row struct{ sign, color, who, weight, share string }

// backendLines returns a line for each backend that changes. Those that
// only have another share, because of the others, share one line where they are many
// of the same weight.
func (c ServiceChange) backendLines() []line {
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
	return columns(rows)
}

// row describes what becomes of a backend. In a service that is added or removed as a
// whole a backend has no share before, or after, to speak of.
func (c ServiceChange) row(b BackendChange, who string) row {
	sign, color := mark(b.Change)
	before, after := b.Before, b.After
	if before == nil {
		before = &Share{Weight: after.Weight, Drain: after.Drain}
	}
	if after == nil {
		after = &Share{Weight: before.Weight, Drain: before.Drain}
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
	if s.Drain {
		return fmt.Sprintf("drained (%d)", s.Weight)
	}
	return fmt.Sprint(s.Weight)
}

// fromTo writes what something was and is, once where that is the same.
func fromTo(what, before, after string) string {
	if before == after {
		return what + " " + after
	}
	return what + " " + before + " -> " + after
}

// columns writes rows below one another.
func columns(rows []row) []line {
	who, weight := 0, 0
	for _, r := range rows {
		who, weight = max(who, len(r.who)), max(weight, len(r.weight))
	}
	lines := make([]line, len(rows))
	for i, r := range rows {
		lines[i] = line{r.color, fmt.Sprintf("  %s %-*s  %-*s  %s", r.sign, who, r.who, weight, r.weight, r.share)}
	}
	return lines
}
