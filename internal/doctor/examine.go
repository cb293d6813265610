package doctor

import (
	"fmt"

	"natspread/internal/doctor/finding"
	"natspread/internal/network"
	"natspread/restore/flows"
)

// examination is a host with the balancer that is to work there, and with what the kernel
// says, which several checks need.
type examination struct {
	Host
	Balancer
	network network.Network
	sockets network.Sockets
	flows   [2][]flows.Entry // by family, those that have to do with the balancer
}

// checks lists the checks in the order in which findings of one severity are printed.
func checks() []func(examination) []Finding {
	return []func(examination) []Finding{
		examination.config, examination.modes, examination.firewalls, examination.variants,
		examination.interfaces, examination.addresses, examination.takeover, examination.listeners, examination.ports, examination.ownBackends, examination.ownChecks,
		examination.routes, examination.reversePath, examination.hairpin, examination.besideBackends, examination.returnPath, examination.narrower, examination.uplinks,
		examination.tableUse, examination.portSpace, examination.marks, examination.docker, examination.ufw, examination.libvirt, examination.bans,
	}
}

// Examine looks for what keeps a balancer from working on the host, beside what package
// report finds itself (the tables, the generations, and what Forwarding, Way and
// Refused find): now, after the next boot, or when something happens that is likely to. The
// worst comes first. What cannot be read is a finding too, a Risk.
func (h Host) Examine(b Balancer) []Finding {
	e := examination{Host: h, Balancer: b, sockets: network.NewSockets(h.Proc)}
	var found []Finding
	var err error
	if e.network, err = h.readNetwork(); err != nil {
		found = append(found, cannotTell("which addresses the host has", err))
	}
	if e.Unread != nil {
		found = append(found, cannotTell("which rules others have", e.Unread))
	}
	for _, family := range b.families() {
		if e.flows[family], err = readFlows(family, b.concerns()); err != nil {
			found = append(found, cannotTell(fmt.Sprintf("%v: which connections there are", family), err))
		}
	}
	for _, check := range checks() {
		found = append(found, check(e)...)
	}
	finding.Sort(found)
	return found
}

// cannotTell is the finding of something that could not be read.
func cannotTell(what string, err error) Finding {
	return Finding{Severity: Risk, What: fmt.Sprintf("cannot tell %s: %v", what, err)}
}

// FixApply is the line that loads the rules and switches forwarding on. The Fix of a finding
// is this, and nothing else, where an apply alone fixes it.
const FixApply = "natspread apply"

// config reports a config that apply refuses.
func (e examination) config() []Finding {
	if e.ConfigBad == nil {
		return nil
	}
	return []Finding{{
		Severity: Risk, What: fmt.Sprintf("apply refuses the config, so the other checks use the config of generation %d: %v", e.Applied, e.ConfigBad),
		Fix: "natspread check # says what to write instead",
	}}
}
