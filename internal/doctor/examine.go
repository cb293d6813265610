package doctor

import (
	"fmt"
	"slices"

	"natspread/internal/conntrack"
	"natspread/internal/rules"
)

// examination is a host with the balancer that is to work there, and what the checks
// share of what the kernel tells.
type examination struct {
	Host
	Balancer
	network network
	flows   [2][]conntrack.Entry // by family, those that have to do with the balancer
}

// checks lists what is looked at, in the order in which findings of one severity stand.
func checks() []func(examination) []Finding {
	return []func(examination) []Finding{
		examination.generation, examination.config, examination.trial, examination.modes, examination.firewalls,
		examination.forwarding, examination.forwardChain, examination.native, examination.variants,
		examination.addresses, examination.listeners,
		examination.routes, examination.reversePath, examination.hairpin, examination.returnPath,
		examination.tableUse, examination.portSpace, examination.docker,
	}
}

// Examine looks at everything that keeps a balancer from working on the host, now,
// after the next boot, or when something happens that is likely to. The worst comes
// first. What cannot be read is a finding, too: a Risk.
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

// forwarding looks at the switches of the families that there are services of. What
// apply will mend is nothing to find before the first one.
func (e examination) forwarding() []Finding {
	var found []Finding
	for _, family := range e.families() {
		one, err := e.forwardingWhere(e.matters, family)
		if err != nil {
			one = []Finding{cannotTell(fmt.Sprintf("whether the host forwards %v", family), err)}
		}
		found = append(found, one...)
	}
	return slices.DeleteFunc(found, func(f Finding) bool { return e.untried() && f.Fix == applyFixes })
}

// program returns the name of a variant's iptables for a family.
func program(family rules.Family, variant string) string {
	name := "iptables-" + variant
	if family == rules.IPv6 {
		name = "ip6tables-" + variant
	}
	return name
}
