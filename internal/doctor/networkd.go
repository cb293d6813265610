package doctor

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// forwardingSince is the first version of systemd whose networkd can switch forwarding
// off, by IPv4Forwarding= and IPv6Forwarding=. IPForward= of older versions only switches
// it on, and newer ones ignore it (systemd.network(5), networkd.conf(5)).
const forwardingSince = 256

// systemdDirs are the directories of systemd's files in order of precedence.
var systemdDirs = []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"}

// below returns a path below each of systemd's directories.
func below(name string) []string {
	var dirs []string
	for _, dir := range systemdDirs {
		dirs = append(dirs, path.Join(dir, name))
	}
	return dirs
}

// first returns the first of systemd's files of a name in the order of precedence.
func (h Host) first(name string) (file string, present bool) {
	for _, file := range below(name) {
		if h.exists(file) {
			return file, true
		}
	}
	return "", false
}

// networkd reads the files of systemd-networkd.
type networkd struct {
	host   Host
	silent bool // it is not in use, or too old to switch forwarding off
}

// networkd returns the networkd of the host.
func (h Host) networkd() networkd {
	version, known := h.systemdVersion()
	return networkd{h, !h.networkdInUse() || known && version < forwardingSince}
}

// networkdInUse tells whether systemd-networkd runs, or boot will start it.
func (h Host) networkdInUse() bool {
	return len(slices.Concat(
		h.glob("run/systemd/netif/state"),
		h.glob("etc/systemd/system/*.wants/systemd-networkd.service"),
		h.glob("run/systemd/generator*/*.wants/systemd-networkd.service"), // netplan's
	)) > 0
}

// systemdVersion returns the version in the name of systemd's library.
func (h Host) systemdVersion() (version int, known bool) {
	for _, dir := range []string{"usr/lib/systemd", "usr/lib/*/systemd", "usr/lib64/systemd", "lib/systemd"} {
		for _, file := range h.glob(dir + "/libsystemd-shared-*.so") {
			name := strings.TrimPrefix(filepath.Base(file), "libsystemd-shared-")
			digits := name[:len(name)-len(strings.TrimLeft(name, "0123456789"))]
			if number, err := strconv.Atoi(digits); err == nil {
				version, known = max(version, number), true
			}
		}
	}
	return version, known
}

// glob returns the paths that match a pattern below the root.
func (h Host) glob(pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(h.Root, pattern)) // fails for a bad pattern only
	return found
}

// option is one NAME=VALUE in a file of systemd's.
type option struct {
	section, name, value string
	at                   place
}

// options are those of a file and its drop-ins, in order.
type options []option

// options reads a file. A backslash at the end of a line joins the next line to it.
func (h Host) options(file string) options {
	var read options
	section, joined := "", ""
	var at place
	for _, line := range h.lines(file) {
		if joined == "" {
			at = line.at
		}
		text, more := strings.CutSuffix(joined+line.text, `\`)
		if joined = ""; more {
			joined = text + " "
			continue
		}
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			section = text[1 : len(text)-1]
		} else if name, value, found := strings.Cut(text, "="); found {
			read = append(read, option{section, strings.TrimSpace(name), strings.TrimSpace(value), at})
		}
	}
	return read
}

// withDropIns returns the options of a file, of none for "", and of the drop-ins in some
// directories.
func (h Host) withDropIns(file string, dirs []string) options {
	var all options
	if file != "" {
		all = h.options(file)
	}
	for _, dropIn := range h.inOrder(".conf", dirs...) {
		all = append(all, h.options(dropIn)...)
	}
	return all
}

// boolean returns the last boolean value of an option. found is false where it has none, or
// where an empty value removed those before it.
func (o options) boolean(section, name string) (last option, on, found bool) {
	for _, option := range o {
		if option.section != section || option.name != name {
			continue
		}
		switch value := strings.ToLower(option.value); {
		case value == "":
			found = false
		case slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, value):
			last, on, found = option, true, true
		case slices.Contains([]string{"0", "no", "n", "false", "f", "off"}, value):
			last, on, found = option, false, true
		}
	}
	return last, on, found
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
func (n networkd) switchesOff(family rules.Family) (option, bool) {
	if n.silent {
		return option{}, false
	}
	file, _ := n.host.first("networkd.conf")
	last, on, found := n.host.withDropIns(file, below("networkd.conf.d")).boolean("Network", optionName(family))
	return last, found && !on
}

// switchesOffInterface returns the line that switches IPv4 forwarding off for one
// interface, in the first .network file that matches it. sure is false when this file, or
// one before it, matches by more than the name of the interface.
func (n networkd) switchesOffInterface(name string) (line option, sure, found bool) {
	if n.silent {
		return option{}, false, false
	}
	sure = true
	for _, file := range n.host.inOrder(".network", below("network")...) {
		if n.host.masked(file) {
			continue
		}
		all := n.host.withDropIns(file, below("network/"+path.Base(file)+".d"))
		matches, certain := all.match(name)
		if !matches {
			continue
		}
		sure = sure && certain
		last, on, said := all.boolean("Network", optionName(rules.IPv4))
		if said && !on || certain {
			return last, sure, said && !on
		}
	}
	return option{}, false, false
}

// match tells whether [Match] can be true for an interface of that name. A [Match] without
// options never is. certain is false when it asks for more than the name: that cannot be
// read from files.
func (o options) match(name string) (matches, certain bool) {
	var patterns []string
	certain = true
	for _, option := range o {
		switch {
		case option.section != "Match":
		case option.name != "Name":
			certain = false
		case option.value == "":
			patterns = nil
		default:
			patterns = append(patterns, strings.Fields(option.value)...)
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
