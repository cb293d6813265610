package doctor

import (
	"path"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// sysctlDirs are the directories of sysctl.d(5) in order of precedence.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// setting is one line of a file of sysctl.d: a key with a value, or a key that patterns
// leave alone.
type setting struct {
	key     string // with slashes, as below /proc/sys; it may be a pattern
	value   string
	exclude bool
	at      place
}

// settings are lines of sysctl.d in the order in which they are applied.
type settings []setting

// sysctlSystem returns what sysctl --system applies. systemd-sysctl applies the same, but
// reads /etc/sysctl.conf only where /etc/sysctl.d has a link to it, as in Debian 12.
func (h Host) sysctlSystem() settings {
	var all settings
	for _, file := range append(h.inOrder(".conf", sysctlDirs...), "/etc/sysctl.conf") {
		all = append(all, h.settings(file)...)
	}
	return all
}

// ufwSysctl returns what ufw applies whenever it starts or reloads, if it is enabled: the
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

// settings reads one file. A "-" before a key with a value says to ignore failures; before
// a key without a value, that patterns leave the key alone.
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

// slashed returns a key with slashes. In a key whose first separator is a dot, dots and
// slashes have changed places: eth0/200 is the interface eth0.200.
func slashed(key string) string {
	if i := strings.IndexAny(key, "./"); i < 0 || key[i] == '/' {
		return key
	}
	return dotted(key)
}

// last returns the last setting of a switch that has some keys. A pattern leaves a key
// alone that stands in a file without a pattern.
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

// off tells whether the value switches off. The kernel takes numbers of any base.
func (s setting) off() bool {
	first, _, _ := strings.Cut(s.value, " ")
	number, err := strconv.ParseInt(first, 0, 64)
	return err == nil && number == 0
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

// dotted returns a key with slashes as sysctl(8) prints it: with dots for slashes and slashes
// for dots, so it is its own inverse.
func dotted(key string) string {
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
