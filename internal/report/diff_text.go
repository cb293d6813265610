package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// filled returns the result with empty lists for absent ones, so that programs always
// find an array.
func (r diffResult) filled() diffResult {
	r.Services = append([]serviceChange{}, r.Services...)
	r.Drift = append([]string{}, r.Drift...)
	return r
}

// printDiff prints a difference and a summary, and exits as diff(1) does. who brings
// the change.
func (s *session) printDiff(o options, who string, result diffResult) error {
	var err error
	if o.json {
		err = s.printJSON(result.filled())
	} else {
		err = s.print(s.diffText(o, result))
	}
	if err != nil {
		return troubled(err)
	}
	s.tellDiff(o, who, result)
	if !result.Differ {
		return nil
	}
	return exitSilently(exitFailed)
}

// tellDiff sums a difference up.
func (s *session) tellDiff(o options, who string, result diffResult) {
	rules := fmt.Sprintf("%s of rules added, %d removed", plural(result.Added, "line"), result.Removed)
	if result.foreign > 0 {
		rules += ", and " + plural(result.foreign, "line") + " of others"
	}
	switch {
	case !result.Differ && result.anew != "":
		s.tell(o, "no difference, but apply would make a new generation of it: %s", result.anew)
	case !result.Differ:
		s.tell(o, "no difference")
	case len(result.Services)+result.Added+result.Removed+result.foreign == 0 && len(result.Drift) > 0:
		s.tell(o, "%s no other rules, and mend what drifted", who)
	case result.unnamed == nil:
		s.tell(o, "%s: %s; %s", who, result.counted(), rules)
	default:
		if !errors.Is(result.unnamed, errSilent) {
			s.tell(o, "cannot name the services: %s", oneLine(result.unnamed.Error()))
		}
		s.tell(o, "%s: %s", who, rules)
	}
}

// counted says how many services change, and how: 1 service added, 2 changed.
func (r diffResult) counted() string {
	counts := map[string]int{}
	for _, change := range r.Services {
		counts[change.Change]++
	}
	var words []string
	for _, how := range []string{"added", "removed", "changed"} {
		switch n := counts[how]; {
		case n > 0 && len(words) == 0:
			words = append(words, plural(n, "service")+" "+how)
		case n > 0:
			words = append(words, fmt.Sprintf("%d %s", n, how))
		}
	}
	if len(words) == 0 {
		return "no service changed"
	}
	return strings.Join(words, ", ")
}

// diffText returns a difference for people: what becomes of the services, what drifted,
// and the rules where they are asked for, or all that is known.
func (s *session) diffText(o options, result diffResult) string {
	parts := []string{s.changeText(o, result.Services)}
	if len(result.Drift) > 0 {
		drift := "drifted:\n"
		if result.loaded != 0 {
			drift = fmt.Sprintf("drifted from generation %d, which was loaded:\n", result.loaded)
		}
		for _, line := range result.Drift {
			drift += "  " + oneLine(line) + "\n"
		}
		parts = append(parts, drift)
	}
	if o.verbose || result.unnamed != nil {
		parts = append(parts, s.paintDiff(o, result.Diff))
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return strings.Join(parts, "\n")
}

// paintDiff colors the lines of a unified diff.
func (s *session) paintDiff(o options, unified string) string {
	if !s.colored(o) {
		return unified
	}
	var painted strings.Builder
	for line := range strings.Lines(unified) {
		code := map[byte]string{'+': "32", '-': "31", '@': "36"}[line[0]]
		line = strings.TrimSuffix(line, "\n")
		if code != "" {
			line = s.paint(o, code, line)
		}
		painted.WriteString(line + "\n")
	}
	return painted.String()
}
