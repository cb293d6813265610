package hostfiles

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// NetworkdInUse tells whether systemd-networkd runs, or boot will start it.
func (r Root) NetworkdInUse() bool {
	return len(slices.Concat(
		r.glob("run/systemd/netif/state"),
		r.glob("etc/systemd/system/*.wants/systemd-networkd.service"),
		r.glob("run/systemd/generator*/*.wants/systemd-networkd.service"), // netplan's
	)) > 0
}

// SystemdVersion returns the version in the name of systemd's library.
func (r Root) SystemdVersion() (version int, known bool) {
	for _, dir := range []string{"usr/lib/systemd", "usr/lib/*/systemd", "usr/lib64/systemd", "lib/systemd"} {
		for _, file := range r.glob(dir + "/libsystemd-shared-*.so") {
			name := strings.TrimPrefix(filepath.Base(file), "libsystemd-shared-")
			digits := name[:len(name)-len(strings.TrimLeft(name, "0123456789"))]
			if number, err := strconv.Atoi(digits); err == nil {
				version, known = max(version, number), true
			}
		}
	}
	return version, known
}

// Match tells whether [Match] can be true for an interface of that name. A [Match] without
// options never is. certain is false when it asks for more than the name: that cannot be
// read from files.
func (o Options) Match(name string) (matches, certain bool) {
	var patterns []string
	certain = true
	for _, option := range o {
		switch {
		case option.section != "Match":
		case option.Name != "Name":
			certain = false
		case option.Value == "":
			patterns = nil
		default:
			patterns = append(patterns, strings.Fields(option.Value)...)
		}
	}
	if len(patterns) == 0 {
		return !certain, certain
	}
	return matchesAny(patterns, name), certain
}

// matchesAny tells whether a name matches one of some shell patterns. A "!" before the
// first one inverts the answer.
func matchesAny(patterns []string, name string) bool {
	first, inverted := strings.CutPrefix(patterns[0], "!")
	for _, pattern := range append([]string{first}, patterns[1:]...) {
		if matched, err := path.Match(pattern, name); err == nil && matched {
			return !inverted
		}
	}
	return inverted
}

// forwardingSince is the first version of systemd whose networkd can switch forwarding
// off, by IPv4Forwarding= and IPv6Forwarding=. IPForward= of older versions only switches
// it on, and newer ones ignore it (systemd.network(5), networkd.conf(5)).
const forwardingSince = 256

// Networkd reads the files of systemd-networkd.
type Networkd struct {
	files  Root
	silent bool // it is not in use, or too old to switch forwarding off
}

// Networkd returns what sets up the interfaces where systemd does.
func (r Root) Networkd() Networkd {
	version, known := r.SystemdVersion()
	return Networkd{r, !r.NetworkdInUse() || known && version < forwardingSince}
}

// SwitchesOff returns the line of networkd.conf by which an option switches forwarding off
// for the whole host. networkd reads only the first of the main files, and all drop-ins
// (networkd.conf(5)).
func (n Networkd) SwitchesOff(option string) (Option, bool) {
	if n.silent {
		return Option{}, false
	}
	file, _ := n.files.First("networkd.conf")
	last, on, found := n.files.WithDropIns(file, Below("networkd.conf.d")).Boolean("Network", option)
	return last, found && !on
}

// SwitchesOffInterface returns the line by which an option switches forwarding off for one
// interface, in the first .network file that matches it. sure is false when this file, or
// one before it, matches by more than the name of the interface.
func (n Networkd) SwitchesOffInterface(name, option string) (line Option, sure, found bool) {
	if n.silent {
		return Option{}, false, false
	}
	sure = true
	for _, file := range n.files.InOrder(".network", Below("network")...) {
		if n.files.Masked(file) {
			continue
		}
		all := n.files.WithDropIns(file, Below("network/"+path.Base(file)+".d"))
		matches, certain := all.Match(name)
		if !matches {
			continue
		}
		sure = sure && certain
		last, on, said := all.Boolean("Network", option)
		if said && !on || certain {
			return last, sure, said && !on
		}
	}
	return Option{}, false, false
}
