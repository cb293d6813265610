package doctor

import (
	"path"

	"natspread/internal/hostfiles"
	"natspread/internal/rules"
)

// forwardingSince is the first version of systemd whose networkd can switch forwarding
// off, by IPv4Forwarding= and IPv6Forwarding=. IPForward= of older versions only switches
// it on, and newer ones ignore it (systemd.network(5), networkd.conf(5)).
const forwardingSince = 256

// networkd reads the files of systemd-networkd.
type networkd struct {
	files  hostfiles.Root
	silent bool // it is not in use, or too old to switch forwarding off
}

// networkd returns the networkd of the host.
func (h Host) networkd() networkd {
	files := h.files()
	version, known := files.SystemdVersion()
	return networkd{files, !files.NetworkdInUse() || known && version < forwardingSince}
}

// optionName returns the name of the option that switches a family's forwarding.
func optionName(family rules.Family) string {
	if family == rules.IPv6 {
		return "IPv6Forwarding"
	}
	return "IPv4Forwarding"
}

// switchesOff returns the line of networkd.conf that switches forwarding of a family off
// for the whole host. networkd reads only the first of the main files, and all drop-ins
// (networkd.conf(5)).
func (n networkd) switchesOff(family rules.Family) (hostfiles.Option, bool) {
	if n.silent {
		return hostfiles.Option{}, false
	}
	file, _ := n.files.First("networkd.conf")
	last, on, found := n.files.WithDropIns(file, hostfiles.Below("networkd.conf.d")).Boolean("Network", optionName(family))
	return last, found && !on
}

// switchesOffInterface returns the line that switches IPv4 forwarding off for one
// interface, in the first .network file that matches it. sure is false when this file, or
// one before it, matches by more than the name of the interface.
func (n networkd) switchesOffInterface(name string) (line hostfiles.Option, sure, found bool) {
	if n.silent {
		return hostfiles.Option{}, false, false
	}
	sure = true
	for _, file := range n.files.InOrder(".network", hostfiles.Below("network")...) {
		if n.files.Masked(file) {
			continue
		}
		all := n.files.WithDropIns(file, hostfiles.Below("network/"+path.Base(file)+".d"))
		matches, certain := all.Match(name)
		if !matches {
			continue
		}
		sure = sure && certain
		last, on, said := all.Boolean("Network", optionName(rules.IPv4))
		if said && !on || certain {
			return last, sure, said && !on
		}
	}
	return hostfiles.Option{}, false, false
}
