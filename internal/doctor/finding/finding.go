// Package finding says what was found on a host: each thing on its own, and one line for many
// of one kind.
package finding

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities.
const (
	Broken Severity = "broken"  // it keeps the balancer from working now
	AtBoot Severity = "at_boot" // all works now, and will not after the next boot
	Risk   Severity = "risk"    // all works until what the finding names happens
)

// String returns the severity for people: "at boot".
func (s Severity) String() string { return strings.ReplaceAll(string(s), "_", " ") }

// Finding is one thing that was found, as --json prints it, too.
type Finding struct {
	Severity Severity `json:"severity"`
	What     string   `json:"what"` // one line: what is wrong, and in which FILE:LINE where that is known
	Fix      string   `json:"fix"`  // the exact line to type; "" where there is none
	Of       Subject  `json:"-"`    // what it is about; the zero Subject where it is about the host
	Loss     Loss     `json:"-"`    // which connections it keeps from their backends, or may
}

// Subject is what a finding is about that can come once for each service or backend, so that a
// host can have thousands of its kind.
type Subject struct {
	Kind     string   // what several are: "listen addresses are on no interface"
	Name     string   // this one: "192.0.2.1"
	Services []string // whose it is
}

// String returns what it is about in words: "192.0.2.1 of web".
func (s Subject) String() string {
	switch {
	case s.Name == "":
		return s.Services[0]
	case len(s.Services) == 0:
		return s.Name
	}
	return s.Name + " of " + s.Services[0]
}

// Sort puts the worst findings first, and leaves those of one severity in their order.
func Sort(found []Finding) {
	rank := []Severity{Broken, AtBoot, Risk}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return slices.Index(rank, a.Severity) - slices.Index(rank, b.Severity)
	})
}

// kind is of which findings Fold makes one.
type kind struct {
	severity Severity
	words    string
}

// fewest is how many findings of a kind are no longer said one by one.
const fewest = 4

// Fold returns findings with one for all of a kind that has many, in the place of the first. Its fix
// is theirs where they have the same; else it is the line that names each.
func Fold(found []Finding, each string) []Finding {
	counts, fixes := map[kind]int{}, map[kind]string{}
	for _, f := range found {
		of := kind{f.Severity, f.Of.Kind}
		if counts[of]++; counts[of] == 1 {
			fixes[of] = f.Fix
		} else if fixes[of] != f.Fix {
			fixes[of] = ""
		}
	}
	var folded []Finding
	for _, f := range found {
		of := kind{f.Severity, f.Of.Kind}
		n := counts[of]
		switch {
		case of.words == "" || n > 0 && n < fewest:
			folded = append(folded, f)
		case n > 0:
			counts[of] = 0
			folded = append(folded, foldedOf(f, n, fixes[of], each))
		}
	}
	return folded
}

// foldedOf is the finding that stands for all n of a kind. first is the first of them, and fix
// that of all; "" where they have none, or several.
func foldedOf(first Finding, n int, fix, each string) Finding {
	if fix == "" {
		fix = each
	}
	return Finding{Severity: first.Severity, What: fmt.Sprintf("%d %s, %v first", n, first.Of.Kind, first.Of), Fix: fix}
}
