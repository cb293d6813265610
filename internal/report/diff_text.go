package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/doctor/finding"
	"natspread/internal/screen"
	"natspread/internal/text"
)

// Summary sums a difference up, a line each: who brings the change. Behind it stands who
// is out, and what is to say of the config.
func (d Diff) Summary(who string) []string {
	lines := d.sum(who)
	for _, note := range append(slices.Clone(d.health), NotesOf(d.advice)...) {
		lines = append(lines, "note: "+text.OneLine(note))
	}
	return lines
}

// sum sums the difference up.
func (d Diff) sum(who string) []string {
	changed := fmt.Sprintf("%s of rules added, %d removed", text.Plural(d.Added, "line"), d.Removed)
	if d.foreign > 0 {
		changed += ", and " + text.Plural(d.foreign, "line") + " of others"
	}
	switch {
	case !d.Differ && d.outdated != "":
		return []string{"no difference, but " + d.newGeneration()}
	case !d.Differ:
		return []string{"no difference"}
	case len(d.Services)+d.Added+d.Removed+d.foreign == 0 && len(d.Findings) > 0:
		return []string{who + " no other rules; what is loaded has " + text.Plural(len(d.Findings), "finding")}
	case d.unnamed == nil:
		return []string{fmt.Sprintf("%s: %s; %s", who, d.counted(), changed)}
	case errors.Is(d.unnamed, errNoServices):
		return []string{fmt.Sprintf("%s: %s", who, changed)}
	}
	return []string{d.nameless(), fmt.Sprintf("%s: %s", who, changed)}
}

// newGeneration says why apply would make a new generation although nothing differs.
func (d Diff) newGeneration() string { return "apply would make a new generation of it: " + d.outdated }

// nameless says why the services are not named.
func (d Diff) nameless() string {
	return "cannot name the services: " + text.OneLine(d.unnamed.Error())
}

// counted says how many services change, and how: 1 service added, 2 changed.
func (d Diff) counted() string {
	counts := map[string]int{}
	for _, change := range d.Services {
		counts[change.Change]++
	}
	return Changes{counts["added"], counts["removed"], counts["changed"]}.String()
}

// Text returns a difference for people: what becomes of the services, what is broken of
// what is loaded, and the rules where they are asked for, or all that is known.
func (d Diff) Text(on screen.Screen, withRules bool) string {
	parts := []string{changesText(on, d.Services)}
	if len(d.Findings) > 0 {
		head := "found:\n"
		if d.loaded != 0 {
			head = fmt.Sprintf("found of generation %d, which is loaded:\n", d.loaded)
		}
		parts = append(parts, head+findingsText(on, finding.Fold(d.Findings, "natspread doctor # names each"), "  "))
	}
	if withRules || d.unnamed != nil {
		parts = append(parts, paintDiff(on, d.Diff))
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return strings.Join(parts, "\n")
}

// paintDiff gives the lines of a unified diff their styles. They stay whole, as patch(1) takes them.
func paintDiff(on screen.Screen, unified string) string {
	var painted strings.Builder
	for line := range strings.Lines(unified) {
		line = strings.TrimSuffix(line, "\n")
		switch line[0] {
		case '+':
			line = on.Bold(line)
		case '-':
			line = on.Red(line)
		}
		painted.WriteString(line + "\n")
	}
	return painted.String()
}
