package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/conntrack"
)

// examination is a host with the balancer that is to work there, and with what the kernel
// says, which several checks need.
type examination struct {
	Host
	Balancer
	network network
	flows   [2][]conntrack.Entry // by family, those that have to do with the balancer
}

// checks lists the checks in the order in which findings of one severity are printed.
func checks() []func(examination) []Finding {
	return []func(examination) []Finding{
		examination.generation, examination.config, examination.pending, examination.modes, examination.firewalls,
		examination.forwarding, examination.forwardChain, examination.native, examination.variants,
		examination.addresses, examination.listeners,
		examination.routes, examination.reversePath, examination.hairpin, examination.returnPath,
		examination.tableUse, examination.portSpace, examination.docker,
	}
}

// Examine looks for everything that keeps a balancer from working on the host: now, after
// the next boot, or when something happens that is likely to. The worst comes first.
// What cannot be read is a finding too, a Risk.
func (h Host) Examine(b Balancer) []Finding {
	e := examination{Host: h, Balancer: b}
	var found []Finding
	var err error
	if e.network, err = readNetwork(); err != nil {
		found = append(found, cannotTell("which addresses the host has", err))
	}
	for _, family := range b.families() {
		if e.flows[family], err = readFlows(family, b.concerns()); err != nil {
			found = append(found, cannotTell(fmt.Sprintf("%v: which connections there are", family), err))
		}
	}
	for _, check := range checks() {
		found = append(found, check(e)...)
	}
	rank := []Severity{Broken, AtBoot, Risk}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return slices.Index(rank, a.Severity) - slices.Index(rank, b.Severity)
	})
	return found
}

// cannotTell is the finding of something that could not be read.
func cannotTell(what string, err error) Finding {
	return Finding{Severity: Risk, What: fmt.Sprintf("cannot tell %s: %v", what, err)}
}

// applyFixes is the line that loads the rules and switches forwarding on.
const applyFixes = "natspread apply"
