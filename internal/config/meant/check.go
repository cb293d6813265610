package meant

import (
	"slices"
	"strings"

	"natspread/internal/config/habits"
	"natspread/internal/config/source"
)

// OfCheck is Keys.OfService for a key of a check.
func OfCheck(_ *source.Source, _ []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	verifies := strings.HasSuffix(name, "verify") && !strings.HasPrefix(name, "no") && !strings.Contains(name, "skip")
	on, isSwitch := switched(p.Value)
	switch {
	case verifies && isSwitch && on:
		return "", "take " + p.Name + " out"
	case verifies && isSwitch:
		return "insecure", "write insecure = true"
	}
	return known(habits.CheckKeys, name)
}

// CheckType returns the type that a check without one is meant to have. has tells whether the check
// has one of some keys.
func CheckType(has func(names ...string) bool) string {
	switch {
	case has("tls_name", "insecure"):
		return "https"
	case has("path", "host", "expect"):
		return "http"
	}
	return "tcp"
}

// checkFix is the fix for a key of the check that stands in the service: into the check with it.
func checkFix(s *source.Source, pairs []source.Pair, p source.Pair) string {
	check := source.ValueOf(pairs, "check")
	own := p.Name + " = " + s.Typed(p.Value.At)
	switch {
	case check.Kind == source.String:
		return "write check = { type = " + s.Typed(check.At) + ", " + own + " } and take " + p.Name + " out"
	case check.Kind == source.InlineTable && s.Text[check.At.Start] == '{':
		inside := strings.Trim(s.Text[check.At.Start+1:check.At.End-1], " \t")
		return "write check = { " + inside + ", " + own + " } and take " + p.Name + " out"
	case check.Kind == source.InlineTable:
		return "write it below [service.check]"
	}
	kind := CheckType(func(names ...string) bool {
		return slices.ContainsFunc(pairs, func(p source.Pair) bool { return slices.Contains(names, p.Name) })
	})
	return "write check = { type = " + source.Quote(kind) + ", " + own + " }"
}
