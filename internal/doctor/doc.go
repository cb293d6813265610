// Package doctor finds what on this host keeps the balancer from working, with the
// line that mends it. It only reads: files below a root directory, sysctls, and what
// the kernel tells of addresses, routes, sockets and connections. It knows neither
// the config nor systemd the program: what it is to judge by it is handed as values.
package doctor

// Severity is how much a finding matters.
type Severity string

// The severities.
const (
	Broken Severity = "broken"  // it keeps the balancer from working now
	AtBoot Severity = "at boot" // all works now, and will not after the next boot
	Risk   Severity = "risk"    // all works until what the finding names happens
)

// Finding is one thing that was found.
type Finding struct {
	Severity Severity
	What     string // one line: what is wrong, and in which FILE:LINE where that is known
	Fix      string // the exact line to type
}

// Host is where to look.
type Host struct {
	Root    string // "/", or where every file is below
	Sysctls string // where sysctls are files: /proc/sys
	Proc    string // where the kernel tells of sockets and processes: /proc
}
