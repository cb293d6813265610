package hostfiles

import (
	"path"
	"strconv"
	"strings"
)

// sysctlDirs are the directories of sysctl.d(5) in order of precedence.
var sysctlDirs = []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}

// Setting is one line of a file of sysctl.d: a key with a value, or a key that patterns
// leave alone.
type Setting struct {
	Key     string // with slashes, as below /proc/sys; it may be a pattern
	Value   string
	exclude bool
	At      Place
}

// Settings are lines of sysctl.d in the order in which they are applied.
type Settings []Setting

// SysctlSystem returns what sysctl --system applies. systemd-sysctl applies the same, but
// reads /etc/sysctl.conf only where /etc/sysctl.d has a link to it, as in Debian 12.
func (r Root) SysctlSystem() Settings {
	var all Settings
	for _, file := range append(r.InOrder(".conf", sysctlDirs...), "/etc/sysctl.conf") {
		all = append(all, r.settings(file)...)
	}
	return all
}

// UFWSysctl returns what ufw applies whenever it starts or reloads, if it is enabled: the
// file that IPT_SYSCTL in /etc/default/ufw names.
func (r Root) UFWSysctl() Settings {
	if !strings.EqualFold(r.ShellValue("/etc/ufw/ufw.conf", "ENABLED"), "yes") {
		return nil
	}
	return r.settings(r.ShellValue("/etc/default/ufw", "IPT_SYSCTL"))
}

// ShellValue returns the last value that a file of shell assignments gives a name,
// without quotes.
func (r Root) ShellValue(file, name string) string {
	value := ""
	for _, line := range r.Lines(file) {
		if after, found := strings.CutPrefix(line.Text, name+"="); found {
			value = strings.Trim(after, `"'`)
		}
	}
	return value
}

// settings reads one file. A "-" before a key with a value says to ignore failures; before
// a key without a value, that patterns leave the key alone.
func (r Root) settings(file string) Settings {
	var read Settings
	for _, line := range r.Lines(file) {
		key, value, assigned := strings.Cut(line.Text, "=")
		key, minus := strings.CutPrefix(strings.TrimSpace(key), "-")
		if assigned || minus {
			read = append(read, Setting{slashed(strings.TrimSpace(key)), strings.TrimSpace(value), !assigned, line.At})
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
	return Dotted(key)
}

// Last returns the last setting of a switch that has some keys. A pattern leaves a key
// alone that stands in a file without a pattern.
func (s Settings) Last(keys ...string) (found Setting, ok bool) {
	own := map[string]bool{}
	for _, setting := range s {
		own[setting.Key] = true
	}
	for _, setting := range s {
		for _, key := range keys {
			matched, err := path.Match(setting.Key, key)
			if !setting.exclude && (setting.Key == key || err == nil && matched && !own[key]) {
				found, ok = setting, true
			}
		}
	}
	return found, ok
}

// Off tells whether the value switches off. The kernel takes numbers of any base.
func (s Setting) Off() bool {
	first, _, _ := strings.Cut(s.Value, " ")
	number, err := strconv.ParseInt(first, 0, 64)
	return err == nil && number == 0
}

// Dotted returns a key with slashes as sysctl(8) prints it: with dots for slashes and slashes
// for dots, so it is its own inverse.
func Dotted(key string) string {
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
