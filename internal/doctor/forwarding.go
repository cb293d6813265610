package doctor

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"natspread/internal/config"
	"natspread/internal/hostfiles"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// Forwarding finds what keeps the host from forwarding packets of some families, now or
// after the next boot. Where a line of a file switches forwarding off, it names that line.
//
// For IPv4 the kernel looks at the switch of the interface that a packet comes in by; to
// set the switch of the whole host sets those of all interfaces. Only interfaces that
// packets of the services come in by count: others are often switched off, and that breaks
// nothing. IPv6 has no such switch: net.ipv6.conf.IF.forwarding says whether the host
// behaves as a router there, and stops no packet (ip-sysctl.rst).
//
// natspread's unit runs after systemd-sysctl and ufw, so a line of theirs for the whole
// host is only a Risk. systemd-networkd runs after the unit.
//
// What cannot be read of a family is a Risk, too.
func (h Host) Forwarding(services []config.Service, families ...rules.Family) []Finding {
	read, err := h.readNetwork()
	if err != nil {
		return []Finding{cannotTell("what the host forwards", err)}
	}
	e := examination{Host: h, Balancer: Balancer{Services: services}, network: read}
	return h.forwardingCheck(e.matters).families(families)
}

// forwardingCheck reads what the files of a host say about forwarding. matters returns how
// much it matters that packets which come in by an interface are not forwarded, "" for not
// at all, and the services for which it may matter.
func (h Host) forwardingCheck(matters func(name string) (Severity, []string)) forwardingCheck {
	return forwardingCheck{Host: h, matters: matters, sysctl: h.files().SysctlSystem(), ufw: h.files().UFWSysctl(), networkd: h.files().Networkd()}
}

// families looks at the switches of some families.
func (c forwardingCheck) families(families []rules.Family) []Finding {
	var found []Finding
	for _, family := range families {
		one, err := c.family(family)
		if err != nil {
			one = []Finding{cannotTell(fmt.Sprintf("whether the host forwards %v", family), err)}
		}
		found = append(found, one...)
	}
	return found
}

// family looks at the switches of one family.
func (c forwardingCheck) family(family rules.Family) ([]Finding, error) {
	found, off, err := c.whole(family)
	if err != nil || family == rules.IPv6 || off { // else every interface would say the same
		return found, err
	}
	each, err := c.interfaces()
	return append(found, each...), err
}

// forwardingCheck is a host with what its files say about forwarding.
type forwardingCheck struct {
	Host
	matters     func(name string) (Severity, []string)
	sysctl, ufw hostfiles.Settings
	networkd    hostfiles.Networkd
}

// read returns the value of a sysctl.
func (h Host) read(key string) (string, error) {
	value, err := os.ReadFile(filepath.Join(h.Sysctls, key))
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", hostfiles.Dotted(key), err)
	}
	return strings.TrimSpace(string(value)), nil
}

// switchKeys returns the keys of a family's switch for the whole host. For IPv4 both keys
// are one variable of the kernel (ip-sysctl.rst).
func switchKeys(family rules.Family) []string {
	if family == rules.IPv6 {
		return []string{"net/ipv6/conf/all/forwarding"}
	}
	return []string{"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"}
}

// interfaceKey returns the key of the IPv4 switch of an interface.
func interfaceKey(name string) string { return "net/ipv4/conf/" + name + "/forwarding" }

// whole looks at the switch of a family for the whole host; off is true when it is off.
func (c forwardingCheck) whole(family rules.Family) (found []Finding, off bool, err error) {
	keys := switchKeys(family)
	value, err := c.read(keys[0])
	if err != nil {
		return nil, false, err
	}
	name := hostfiles.Dotted(keys[0])
	line, byNetworkd := c.networkd.SwitchesOff(optionName(family))
	if value != "1" {
		places := c.places(keys...)
		if byNetworkd {
			places = append(places, line.At)
		}
		what := fmt.Sprintf("%v: %s is not 1, so nothing is forwarded", family, name)
		off, fix := c.shut(keys[0])
		return []Finding{{Severity: Broken, What: what + setIn(places) + off, Fix: fix}}, true, nil
	}
	if byNetworkd {
		found = append(found, atBoot(family, name, line))
	}
	if last, set := c.sysctl.Last(keys...); set && last.Off() {
		found = append(found, risk(family, "sysctl --system", name, last))
	}
	if last, set := c.ufw.Last(keys...); set && last.Off() {
		found = append(found, risk(family, "ufw reload", name, last))
	}
	return found, false, nil
}

// writeOK asks access(2) whether something may be written.
const writeOK = 2

// shut returns what keeps a switch from being set, and the line that sets it. In a container /proc/sys is often
// read-only, and then each apply fails.
func (h Host) shut(key string) (off, fix string) {
	if err := syscall.Access(filepath.Join(h.Sysctls, key), writeOK); !errors.Is(err, syscall.EROFS) {
		return "", FixApply
	}
	return fmt.Sprintf("; %s is read-only here, so whoever starts the container sets it: docker run --sysctl %s=1", h.Sysctls, hostfiles.Dotted(key)),
		fmt.Sprintf("mount -o remount,rw %s && %s # needs CAP_SYS_ADMIN", h.Sysctls, FixApply)
}

// places returns the lines of sysctl.d and ufw that switch these keys off.
func (c forwardingCheck) places(keys ...string) []hostfiles.Place {
	var places []hostfiles.Place
	for _, read := range []hostfiles.Settings{c.sysctl, c.ufw} {
		if last, set := read.Last(keys...); set && last.Off() {
			places = append(places, last.At)
		}
	}
	return places
}

// setIn names the lines that switch something off, "" where there is none.
func setIn(places []hostfiles.Place) string {
	var words []string
	for _, at := range places {
		words = append(words, at.String())
	}
	if len(words) == 0 {
		return ""
	}
	return "; it is switched off in " + strings.Join(words, " and in ")
}

// atBoot is the finding of a line of networkd's that the next boot reads.
func atBoot(family rules.Family, name string, line hostfiles.Option) Finding {
	return Finding{
		Severity: AtBoot,
		What:     fmt.Sprintf("%v: the next boot switches %s off: %s=%s in %s", family, name, line.Name, line.Value, line.At),
		Fix:      fmt.Sprintf("sed -i '%ds/=.*/=yes/' %s", line.At.Line, line.At.File),
	}
}

// risk is the finding of a line that takes effect when a command is run.
func risk(family rules.Family, command, name string, last hostfiles.Setting) Finding {
	return Finding{
		Severity: Risk,
		What:     fmt.Sprintf("%v: %s would switch %s off: %s = %s in %s", family, command, name, hostfiles.Dotted(last.Key), last.Value, last.At),
		Fix:      fmt.Sprintf("sed -i '%ds/=.*/= 1/' %s", last.At.Line, last.At.File),
	}
}

// interfaces looks at the IPv4 switch of each interface, and at the default, which new
// interfaces begin with.
func (c forwardingCheck) interfaces() ([]Finding, error) {
	entries, err := os.ReadDir(filepath.Join(c.Sysctls, path.Dir(path.Dir(interfaceKey("all")))))
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	var found []Finding
	for _, entry := range entries {
		name := entry.Name()
		if name == "all" || name == "lo" {
			continue
		}
		value, err := c.read(interfaceKey(name))
		switch {
		case err != nil: // the interface went away
		case name == "default":
			found = append(found, c.newOnes(value)...)
		default:
			found = append(found, c.one(name, value)...)
		}
	}
	return found, nil
}

// one looks at one interface.
func (c forwardingCheck) one(name, value string) []Finding {
	severity, services := c.matters(name)
	found, off := c.switchedOff(name, value)
	if !off || severity == "" {
		return nil
	}
	if severity == Risk {
		found.Severity = Risk
		found.What += ", and connections of " + text.Few(services) + " may come in there"
	}
	return []Finding{found}
}

// switchedOff is the finding of an interface that does not forward, or will not. off is
// false where it does.
func (c forwardingCheck) switchedOff(name, value string) (found Finding, off bool) {
	key := interfaceKey(name)
	line, sure, byNetworkd := c.networkd.SwitchesOffInterface(name, optionName(rules.IPv4))
	last, set := c.sysctl.Last(key)
	switch {
	case value == "0":
		places := c.places(key)
		if len(places) == 0 { // an interface begins with the default
			places = c.places(interfaceKey("default"))
		}
		if byNetworkd {
			places = append(places, line.At)
		}
		what := fmt.Sprintf("%v: %s is 0, so what comes in by %s is not forwarded", rules.IPv4, hostfiles.Dotted(key), name)
		return Finding{Severity: Broken, What: what + setIn(places), Fix: "sysctl -w " + hostfiles.Dotted(key) + "=1"}, true
	case byNetworkd && sure:
		return atBoot(rules.IPv4, hostfiles.Dotted(key), line), true
	case set && last.Off():
		return risk(rules.IPv4, "sysctl --system", hostfiles.Dotted(key), last), true
	}
	return Finding{}, false
}

// newOnes looks at the switch that new interfaces begin with.
func (c forwardingCheck) newOnes(value string) []Finding {
	if value != "0" {
		return nil
	}
	key := interfaceKey("default")
	what := fmt.Sprintf("%v: %s is 0, so new interfaces will not forward", rules.IPv4, hostfiles.Dotted(key))
	return []Finding{{Severity: Risk, What: what + setIn(c.places(key)), Fix: "sysctl -w " + hostfiles.Dotted(key) + "=1"}}
}

// optionName returns the name of the option that switches a family's forwarding.
func optionName(family rules.Family) string {
	if family == rules.IPv6 {
		return "IPv6Forwarding"
	}
	return "IPv4Forwarding"
}
