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
