package endpoint

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// MaxSources is the most source addresses of a service: each has to be one of the balancer's.
const MaxSources = 4096

// Sources are source addresses that follow on one another, both ends included. A single one is both.
type Sources struct{ First, Last netip.Addr }

// String writes s as the config does: "192.0.2.10", "192.0.2.10-192.0.2.12".
func (s Sources) String() string {
	if s.First == s.Last {
		return s.First.String()
	}
	return s.First.String() + "-" + s.Last.String()
}

// All returns the addresses, of too many one more than MaxSources.
func (s Sources) All() []netip.Addr {
	var all []netip.Addr
	for a := s.First; a.IsValid() && a.Compare(s.Last) <= 0 && len(all) <= MaxSources; a = a.Next() {
		all = append(all, a)
	}
	return all
}

// Overlaps tells whether two ranges have an address in common.
func (s Sources) Overlaps(other Sources) bool {
	return s.First.Is4() == other.First.Is4() && s.First.Compare(other.Last) <= 0 && other.First.Compare(s.Last) <= 0
}

// ParseSources reads one address, or the first and the last one of a range. iptables would take a
// range that ends before it begins.
func ParseSources(text string) (Sources, *value.Fault) {
	if list := severalSources(text); len(list) > 0 && strings.ContainsFunc(text, value.Separates) {
		return Sources{}, &value.Fault{Cause: "it is more than one value", Fix: "write " + source.QuoteList(list)}
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		a, why := parseSource(text)
		return Sources{a, a}, why
	}
	if dot := strings.LastIndex(low, "."); dot > 0 && !strings.Contains(high, ".") { // 192.0.2.10-12
		whole := Sources{}
		var err, err2 error
		whole.First, err = netip.ParseAddr(low)
		whole.Last, err2 = netip.ParseAddr(low[:dot+1] + high)
		if err == nil && err2 == nil {
			return Sources{}, &value.Fault{Cause: "its last address is not written in full", Fix: "write " + source.Quote(whole.String())}
		}
	}
	first, why := parseSource(low)
	if why != nil {
		return Sources{}, why
	}
	last, why := parseSource(high)
	made := Sources{first, last}
	switch {
	case why != nil:
	case first.Is4() != last.Is4():
		why = &value.Fault{Cause: "its ends are of two families", Fix: "write " + source.QuoteList([]string{first.String(), last.String()})}
	case first.Compare(last) > 0:
		why = &value.Fault{Cause: "it ends before it begins", Fix: "write " + source.Quote(Sources{last, first}.String())}
	case len(made.All()) > MaxSources:
		why = &value.Fault{Cause: fmt.Sprintf("it has more than %d addresses", MaxSources), Fix: "natspread can't take more: write fewer of this machine's addresses"}
	}
	return made, why
}

// parseSource reads one address. The ports of SNAT are the kernel's to pick.
func parseSource(text string) (netip.Addr, *value.Fault) {
	if e, why := value.SplitEndpoint(text); why == nil && e.HasPorts {
		return netip.Addr{}, &value.Fault{Cause: "it has a port, and the ports of SNAT are the kernel's to pick", Fix: "write " + source.Quote(e.Host)}
	}
	return value.ParseUnicast(text)
}

// severalSources returns the addresses and ranges that stand in one string, each once.
func severalSources(text string) []string {
	var all []string
	for part := range strings.FieldsFuncSeq(text, value.Separates) {
		low, high, isRange := strings.Cut(part, "-")
		_, err := netip.ParseAddr(low)
		if isRange && err == nil {
			_, err = netip.ParseAddr(high)
		}
		if err == nil && !slices.Contains(all, part) {
			all = append(all, part)
		}
	}
	return all
}

// MergeSources returns ranges in order, with those joined that follow on one another.
func MergeSources(all []Sources) []Sources {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Sources) int { return bytes.Compare(a.First.AsSlice(), b.First.AsSlice()) })
	var merged []Sources
	for _, s := range sorted {
		if n := len(merged); n > 0 && merged[n-1].Last.Next() == s.First {
			merged[n-1].Last = s.Last
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}
