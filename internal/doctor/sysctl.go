package doctor

import (
	"path"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// sysctlDirs are the directories of sysctl.d(5) in order of precedence.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// setting is one line of a file of sysctl.d: a key with a value, or a key that no
// pattern is to touch.
type setting struct {
	key     string // with slashes, as below /proc/sys; it may be a pattern
	value   string
	exclude bool
	at      place
}

// settings are lines of sysctl.d in the order in which they are applied.
type settings []setting

// sysctlSystem returns what sysctl --system applies. systemd-sysctl does the same,
// but reads /etc/sysctl.conf only by a link in /etc/sysctl.d, as Debian 12 has one.
func (h Host) sysctlSystem() settings {
	var all settings
	for _, file := range append(h.inOrder(".conf", sysctlDirs...), "/etc/sysctl.conf") {
		all = append(all, h.settings(file)...)
	}
	return all
}

// ufwSysctl returns what an enabled ufw applies whenever it starts or reloads: the
// file that IPT_SYSCTL in /etc/default/ufw names.
func (h Host) ufwSysctl() settings {
	if !strings.EqualFold(h.shellValue("/etc/ufw/ufw.conf", "ENABLED"), "yes") {
		return nil
	}
	return h.settings(h.shellValue("/etc/default/ufw", "IPT_SYSCTL"))
}

// shellValue returns the last value that a file of shell assignments gives a name,
// without quotes.
func (h Host) shellValue(file, name string) string {
	value := ""
	for _, line := range h.lines(file) {
		if after, found := strings.CutPrefix(line.text, name+"="); found {
			value = strings.Trim(after, `"'`)
		}
	}
	return value
}

// settings reads one file. A "-" before a key means that failure is no matter, or
// without a value that patterns leave the key alone.
func (h Host) settings(file string) settings {
	var read settings
	for _, line := range h.lines(file) {
		key, value, assigned := strings.Cut(line.text, "=")
		key, minus := strings.CutPrefix(strings.TrimSpace(key), "-")
		if assigned || minus {
			read = append(read, setting{slashed(strings.TrimSpace(key)), strings.TrimSpace(value), !assigned, line.at})
		}
	}
	return read
}

// slashed returns a key with slashes. After a dot as its first separator, dots and
// slashes have changed places: eth0/200 is the interface eth0.200.
func slashed(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return swapped(key)
}

// last returns the last setting of a switch that the kernel knows by some keys. A
// pattern does not touch a key that stands in a file itself.
func (s settings) last(keys ...string) (found setting, ok bool) {
	own := map[string]bool{}
	for _, setting := range s {
		own[setting.key] = true
	}
	for _, setting := range s {
		for _, key := range keys {
			matched, err := path.Match(setting.key, key)
			if !setting.exclude && (setting.key == key || err == nil && matched && !own[key]) {
				found, ok = setting, true
			}
		}
	}
	return found, ok
}

// off tells whether the value switches off. The kernel takes a number, of any base.
func (s setting) off() bool {
	first, _, _ := strings.Cut(s.value, " ")
	number, err := strconv.ParseInt(first, 0, 64)
	return err == nil && number == 0
}

// switchKeys returns the keys of a family's switch for the whole host. For IPv4
// both are one variable of the kernel (ip-sysctl.rst).
func switchKeys(family rules.Family) []string {
	if family == rules.IPv6 {
		return []string{"net/ipv6/conf/all/forwarding"}
	}
	return []string{"net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"}
}

// interfaceKey returns the key of an interface's own switch for IPv4.
func interfaceKey(name string) string { return "net/ipv4/conf/" + name + "/forwarding" }

// dotted returns a key with slashes as sysctl(8) prints it.
func dotted(key string) string { return swapped(key) }

// swapped returns a key with dots for slashes and slashes for dots.
func swapped(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}
