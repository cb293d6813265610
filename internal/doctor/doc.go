// Package doctor finds what on this host keeps the balancer from working, each with the
// line that fixes it. It only reads: files below a root directory, sysctls, tracked
// connections, and what package network says. It starts no program.
// The config, the rules that iptables holds and the generation that boot loads are given
// to it as values, so it knows neither restore nor units.
package doctor

import (
	"sync"

	"natspread/internal/doctor/finding"
	"natspread/internal/hostfiles"
	"natspread/internal/network"
)

// Severity is how much a finding matters.
type Severity = finding.Severity

// The severities.
const (
	Broken = finding.Broken
	AtBoot = finding.AtBoot
	Risk   = finding.Risk
)

// Finding is one thing that was found.
type Finding = finding.Finding

// Host is where to look.
type Host struct {
	Root    string // the directory that every file is below: "/", or that of an image
	Sysctls string // where sysctls are files: /proc/sys
	Proc    string // where the kernel lists sockets and processes: /proc
	Asks    bool   // ask neighbours who has the addresses that the host has not: that takes a second

	network func() (network.Network, error) // nil reads it anew each time
}

// Once returns a host whose network is read once, when it is first needed, for several
// questions at one time.
func (h Host) Once() Host {
	if h.network == nil {
		h.network = sync.OnceValues(network.Read)
	}
	return h
}

// readNetwork reads the host's network.
func (h Host) readNetwork() (network.Network, error) {
	if h.network == nil {
		return network.Read()
	}
	return h.network()
}

// files are those below the root, as boot reads them.
func (h Host) files() hostfiles.Root { return hostfiles.Root(h.Root) }
