package doctor

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"natspread/internal/rules"
)

// Forwarding finds what keeps the host from forwarding the families' packets, now
// or after the next boot, and names the line that a file switches it off by, where
// one does. IPv6 has no switch of an interface's own: net.ipv6.conf.IF.forwarding
// only makes it a router's or a host's, and stops no packet (ip-sysctl.rst).
//
// natspread's unit runs after systemd-sysctl and ufw, so that a file of theirs for
// the whole host is a Risk and no more; systemd-networkd comes after the unit. What
// the kernel forwards IPv4 by is the switch of the interface a packet comes in by;
// the one for the whole host sets them all. Of interfaces those count that packets of
// the services come in by: to switch off the others is common, and breaks nothing.
func (h Host) Forwarding(services []Service, families ...rules.Family) ([]Finding, error) {
	network, err := readNetwork()
	if err != nil {
		return nil, err
	}
	e := examination{Host: h, Balancer: Balancer{Services: services}, network: network}
	return h.forwardingWhere(e.matters, families...)
}

// forwardingWhere is Forwarding, told how much it matters that an interface is off.
func (h Host) forwardingWhere(matters func(string) (Severity, []string), families ...rules.Family) ([]Finding, error) {
	look := forwardingCheck{Host: h, matters: matters, sysctl: h.sysctlSystem(), ufw: h.ufwSysctl(), networkd: h.networkd()}
	var found []Finding
	for _, family := range families {
		whole, off, err := look.whole(family)
		if err != nil {
			return nil, err
		}
		found = append(found, whole...)
		if family == rules.IPv6 || off { // else every interface would say the same
			continue
		}
		each, err := look.interfaces()
		if err != nil {
			return nil, err
		}
		found = append(found, each...)
	}
	return found, nil
}

// forwardingCheck is a host with what its files say.
type forwardingCheck struct {
	Host
	matters     func(name string) (Severity, []string)
	sysctl, ufw settings
	networkd    networkd
}

// read returns the value of a sysctl.
func (h Host) read(key string) (string, error) {
	value, err := os.ReadFile(filepath.Join(h.Sysctls, key))
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", dotted(key), err)
	}
	return strings.TrimSpace(string(value)), nil
}

// whole looks at a family's switch for the whole host.
func (l forwardingCheck) whole(family rules.Family) (found []Finding, off bool, err error) {
	keys := switchKeys(family)
	value, err := l.read(keys[0])
	if err != nil {
		return nil, false, err
	}
	name := dotted(keys[0])
	line, byNetworkd := l.networkd.switchesOff(family)
	if value != "1" {
		places := l.places(keys...)
		if byNetworkd {
			places = append(places, line.at)
		}
		what := fmt.Sprintf("%v: %s is not 1, so nothing is forwarded", family, name)
		return []Finding{{Broken, what + setIn(places), "natspread apply"}}, true, nil
	}
	if byNetworkd {
		found = append(found, atBoot(family, name, line))
	}
	if last, set := l.sysctl.last(keys...); set && last.off() {
		found = append(found, risk(family, "sysctl --system", name, last))
	}
	if last, set := l.ufw.last(keys...); set && last.off() {
		found = append(found, risk(family, "ufw reload", name, last))
	}
	return found, false, nil
}

// places returns where files of sysctl.d and ufw switch off what has those keys.
func (l forwardingCheck) places(keys ...string) []place {
	var places []place
	for _, read := range []settings{l.sysctl, l.ufw} {
		if last, set := read.last(keys...); set && last.off() {
			places = append(places, last.at)
		}
	}
	return places
}

// setIn returns words for the places that switch something off, none when no file
// does.
func setIn(places []place) string {
	var words []string
	for _, at := range places {
		words = append(words, at.String())
	}
	if len(words) == 0 {
		return ""
	}
	return "; it is switched off in " + strings.Join(words, " and in ")
}

// atBoot is the finding of a line of networkd's that the next boot will follow.
func atBoot(family rules.Family, name string, line option) Finding {
	return Finding{
		AtBoot,
		fmt.Sprintf("%v: the next boot switches %s off: %s=%s in %s", family, name, line.name, line.value, line.at),
		fmt.Sprintf("sed -i '%ds/=.*/=yes/' %s", line.at.line, line.at.file),
	}
}

// risk is the finding of a line that a command would follow.
func risk(family rules.Family, command, name string, last setting) Finding {
	return Finding{
		Risk,
		fmt.Sprintf("%v: %s would switch %s off: %s = %s in %s", family, command, name, dotted(last.key), last.value, last.at),
		fmt.Sprintf("sed -i '%ds/=.*/= 1/' %s", last.at.line, last.at.file),
	}
}

// interfaces looks at the switches of IPv4 that each interface has, and at the one
// that those to come begin with.
func (l forwardingCheck) interfaces() ([]Finding, error) {
	entries, err := os.ReadDir(filepath.Join(l.Sysctls, path.Dir(path.Dir(interfaceKey("all")))))
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	var found []Finding
	for _, entry := range entries {
		name := entry.Name()
		if name == "all" || name == "lo" {
			continue
		}
		value, err := l.read(interfaceKey(name))
		switch {
		case err != nil: // it went away
		case name == "default":
			found = append(found, l.toCome(value)...)
		default:
			found = append(found, l.one(name, value)...)
		}
	}
	return found, nil
}

// one looks at an interface.
func (l forwardingCheck) one(name, value string) []Finding {
	severity, services := l.matters(name)
	found, is := l.switchedOff(name, value)
	if !is || severity == "" {
		return nil
	}
	if severity == Risk {
		found.Severity = Risk
		found.What += ", and connections of " + few(services) + " may come in there"
	}
	return []Finding{found}
}

// switchedOff is the finding of an interface that is off, or will be.
func (l forwardingCheck) switchedOff(name, value string) (found Finding, is bool) {
	key := interfaceKey(name)
	line, sure, byNetworkd := l.networkd.switchesOffInterface(name)
	last, set := l.sysctl.last(key)
	switch {
	case value == "0":
		places := l.places(key)
		if len(places) == 0 { // an interface begins with the default
			places = l.places(interfaceKey("default"))
		}
		if byNetworkd {
			places = append(places, line.at)
		}
		what := fmt.Sprintf("%v: %s is 0, so what comes in by %s is not forwarded", rules.IPv4, dotted(key), name)
		return Finding{Broken, what + setIn(places), "sysctl -w " + dotted(key) + "=1"}, true
	case byNetworkd && sure:
		return atBoot(rules.IPv4, dotted(key), line), true
	case set && last.off():
		return risk(rules.IPv4, "sysctl --system", dotted(key), last), true
	}
	return Finding{}, false
}

// toCome looks at what interfaces begin with.
func (l forwardingCheck) toCome(value string) []Finding {
	if value != "0" {
		return nil
	}
	key := interfaceKey("default")
	what := fmt.Sprintf("%v: %s is 0, so an interface that is still to come will not forward", rules.IPv4, dotted(key))
	return []Finding{{Risk, what + setIn(l.places(key)), "sysctl -w " + dotted(key) + "=1"}}
}
