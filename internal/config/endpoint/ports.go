package endpoint

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// Ports is a range with both ends in it; a single port is both ends.
type Ports struct{ First, Last uint16 }

// String writes "80" or "8000-8010".
func (p Ports) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
}

// Kind returns how TOML has p: one port as a number, a range as a string.
func (p Ports) Kind() source.Kind {
	if p.First == p.Last {
		return source.Integer
	}
	return source.String
}

// TOML writes p as a value of TOML: 80, or "8000-8010" with the quotes.
func (p Ports) TOML() string {
	if p.Kind() == source.Integer {
		return p.String()
	}
	return source.Quote(p.String())
}

// Contains reports whether port is one of p.
func (p Ports) Contains(port uint16) bool { return p.First <= port && port <= p.Last }

// Count returns how many ports there are.
func (p Ports) Count() int { return int(p.Last) - int(p.First) + 1 }

// Without returns those of the ports that are not in another range: up to two ranges.
func (p Ports) Without(taken Ports) []Ports {
	var left []Ports
	if p.First < taken.First {
		left = append(left, Ports{p.First, min(p.Last, taken.First-1)})
	}
	if p.Last > taken.Last {
		left = append(left, Ports{max(p.First, taken.Last+1), p.Last})
	}
	return left
}

// Overlaps tells whether two ranges have a port in common.
func (p Ports) Overlaps(other Ports) bool { return p.First <= other.Last && other.First <= p.Last }

// From returns as many ports from one on, or the last ones that are as many.
func (p Ports) From(first uint16) Ports {
	first = min(first, math.MaxUint16-(p.Last-p.First))
	return Ports{first, first + p.Last - p.First}
}

// ParsePorts reads "80" or "8000-8010".
func ParsePorts(text string) (Ports, *value.Fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := value.ParsePort(low)
	last, ok2 := value.ParsePort(high)
	switch {
	case !ok || !ok2:
		return Ports{}, &value.Fault{Cause: "its port is not a number from 1 to 65535"}
	case first > last:
		return Ports{}, &value.Fault{Cause: "its port range ends before it begins"}
	}
	return Ports{first, last}, nil
}

// Pair is a port that clients ask for, and the one where the backends answer; or a range of ports,
// and one as long.
type Pair struct{ Asked, To Ports }

// String writes p as the config does: `80 = 8080`, `"8000-8010" = "9000-9010"`.
func (p Pair) String() string { return p.Asked.TOML() + " = " + p.To.TOML() }

// ParsePair reads 80 = 8080, and "8000-8010" = "9000-9010".
func ParsePair(p source.Pair) (Pair, *value.Fault) {
	asked, why := ParsePorts(p.Name)
	to, why2 := ParsePorts(p.Value.Text)
	kind := asked.Kind()
	switch {
	case why != nil && strings.Contains(p.Name, "-"):
		return Pair{}, &value.Fault{Cause: "it is no range of ports from 1 to 65535"}
	case why != nil:
		return Pair{}, &value.Fault{Cause: "it is not a number from 1 to 65535"}
	case kind == source.String && why2 == nil && to.Count() != asked.Count():
		return Pair{}, &value.Fault{Cause: fmt.Sprintf("it has %d ports, and %s has %d", asked.Count(), to, to.Count())}
	case kind == source.String && (why2 != nil || p.Value.Kind != kind):
		return Pair{}, &value.Fault{Cause: fmt.Sprintf("%q is no range of ports from 1 to 65535", source.FirstBytes(p.Value.Text))}
	case why2 != nil || p.Value.Kind != kind:
		return Pair{}, &value.Fault{Cause: fmt.Sprintf("%q is not a number from 1 to 65535", source.FirstBytes(p.Value.Text))}
	}
	return Pair{asked, to}, nil
}

// meantPair returns what was meant by a pair of ports: a range is as long as the one that clients ask
// for. It is false where that is not known.
func meantPair(p source.Pair) (Pair, bool) {
	asked, why := ParsePorts(strings.TrimSpace(p.Name))
	to, why2 := ParsePorts(strings.TrimSpace(p.Value.Text))
	if cmp.Or(why, why2) != nil || int(to.First)+asked.Count()-1 > math.MaxUint16 {
		return Pair{}, false
	}
	return Pair{asked, asked.From(to.First)}, true
}

// MeantPairs writes what is a port of some pairs, each once; "" where none is.
func MeantPairs(pairs []source.Pair) string {
	var good []string
	var known []Ports
	for _, p := range pairs {
		pair, ok := meantPair(p)
		if ok && !slices.ContainsFunc(known, pair.Asked.Overlaps) {
			known = append(known, pair.Asked)
			good = append(good, pair.String())
		}
	}
	if len(good) == 0 {
		return ""
	}
	return "{ " + strings.Join(good, ", ") + " }"
}

// PublishedFix is the fix for pairs of ports that are strings, as Docker publishes them: "80:8080".
// It is "" where none is such a pair.
func PublishedFix(v source.Value) string {
	var pairs []source.Pair
	for _, item := range append(v.Items, v) {
		asked, to, _ := strings.Cut(item.Text, ":")
		pairs = append(pairs, source.Pair{Name: asked, Value: source.Value{Text: to}})
	}
	if good := MeantPairs(pairs); good != "" {
		return "write ports = " + good
	}
	return ""
}
