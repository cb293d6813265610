// Package bootfiles finds the lines in a host's files that load rules at boot which natspread replaces.
//
// It edits nothing, and follows no link out of the root. What a program makes up at run time it cannot know.
package bootfiles

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/hostfiles"
	"natspread/internal/rules"
)

// Line is a line of a file that is read at boot.
type Line struct {
	From string // who reads it: netfilter-persistent, ufw
	File string
	Line int
	Text string
	// Sure tells that it names a backend. Else it translates by a variable, and may lead to one.
	Sure bool
}

// source is files that somebody reads at boot.
type source struct {
	from  string
	globs []string
	names bool // they name scripts, which are read, too
}

// sources are those that rules were seen in, and their likes.
var sources = []source{
	{from: "netfilter-persistent", globs: []string{"/etc/iptables/rules.v[46]", "/etc/iptables/*.rules", "/etc/iptables.*rules", "/etc/iptables.conf"}},
	{from: "ufw", globs: []string{"/etc/ufw/*.rules"}},
	{from: "the iptables service", globs: []string{"/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables", "/etc/iptables/rules*-save", "/var/lib/ip*tables/rules-save"}},
	{from: "firewalld", globs: []string{"/etc/firewalld/direct.xml"}},
	{from: "nftables", globs: []string{"/etc/nftables.conf", "/etc/nftables.d/*", "/etc/nftables/*", "/etc/sysconfig/nftables.conf"}},
	{from: "rc.local", globs: []string{"/etc/rc.local", "/etc/rc.d/rc.local"}, names: true},
	{from: "ifupdown", globs: []string{"/etc/network/interfaces", "/etc/network/interfaces.d/*", "/etc/network/if-*.d/*"}, names: true},
	{from: "WireGuard", globs: []string{"/etc/wireguard/*.conf"}, names: true},
	{from: "systemd", globs: []string{"/etc/systemd/system/*.service", "/etc/systemd/system/*.service.d/*.conf"}, names: true},
	{from: "cron", globs: []string{"/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*"}, names: true},
	{from: "init.d", globs: []string{"/etc/init.d/*"}},
	{from: "NetworkManager", globs: []string{"/etc/NetworkManager/dispatcher.d/*", "/etc/NetworkManager/dispatcher.d/*/*"}},
	{from: "networkd-dispatcher", globs: []string{"/etc/networkd-dispatcher/*/*"}},
}

// Wanted is which lines are looked for.
type Wanted struct {
	Backends []string      // addresses that they translate to
	Taken    []rules.Taken // rules that they load, in whatever words
	Stays    []rules.Taken // rules that stay, although they lead to one of the backends
}

// translating is what a line has that rewrites destinations, in the words of iptables or nft.
var translating = regexp.MustCompile(`\bDNAT\b|\bREDIRECT\b|\bdnat\b.*\bto\b|\bredirect to\b|--to-destination`)

// script is a path that a line runs.
var script = regexp.MustCompile(`(?:^|[\s="'!+@-])(/(?:etc|usr|opt|root|home|srv|var)/[\w./@+-]+)`)

// most bounds the lines that are found.
const most = 10000

// Find looks in the files below a root for lines that translate to one of some addresses, or load given rules.
func Find(root string, wanted Wanted) []Line {
	f := finder{root: root, backends: wanted.Backends, taken: meaningsOf(wanted.Taken), stays: meaningsOf(wanted.Stays), read: map[string]bool{}}
	for _, source := range sources {
		for _, glob := range source.globs {
			paths, _ := filepath.Glob(filepath.Join(root, glob))
			for _, path := range paths {
				f.file(source.from, below(root, path), source.names)
			}
		}
	}
	return f.found
}

// below returns a path as it is below a root.
func below(root, path string) string { return strings.TrimPrefix(path, strings.TrimSuffix(root, "/")) }

// finder collects lines.
type finder struct {
	root         string
	backends     []string
	taken, stays map[string]bool // what rules mean
	read         map[string]bool
	found        []Line
}

// file looks in a file, and where it names scripts in these.
func (f *finder) file(from, name string, names bool) {
	path, err := atomicfile.Resolve(f.root, name, nil)
	if err != nil || f.read[path] {
		return
	}
	f.read[path] = true
	var scripts []string
	for _, line := range hostfiles.Root(f.root).Lines(below(f.root, path)) {
		f.line(Line{From: from, File: name, Line: line.At.Line, Text: line.Text})
		for _, found := range script.FindAllStringSubmatch(line.Text, -1) {
			scripts = append(scripts, found[1])
		}
	}
	if names {
		for _, one := range scripts {
			f.file(from, one, false)
		}
	}
}

// line keeps a line that loads a wanted rule, or leads to a backend, or may.
func (f *finder) line(line Line) {
	rule := ruleOf(line)
	if len(f.found) == most || hasOwner(rule) || f.stays[meaning(line.family(), rule)] {
		return
	}
	translates := translating.MatchString(line.Text)
	line.Sure = f.taken[meaning(line.family(), rule)] ||
		translates && slices.ContainsFunc(f.backends, func(address string) bool { return hasAddress(line.Text, address) })
	if line.Sure || translates && hasVariable(line.Text) {
		f.found = append(f.found, line)
	}
}

// hasVariable tells whether a line has a part that something fills in when it is run.
func hasVariable(text string) bool {
	return strings.Contains(text, "$") || strings.Contains(text, "{{")
}

// hasAddress tells whether a text has an address, and not only as a part of a longer one.
func hasAddress(text, address string) bool {
	for rest := text; ; {
		at := strings.Index(rest, address)
		if at < 0 {
			return false
		}
		before, after := rest[:at], rest[at+len(address):]
		inside := func(b byte) bool {
			return b >= '0' && b <= '9' || b == '.' || b >= 'a' && b <= 'f' && strings.Contains(address, ":")
		}
		if (before == "" || !inside(before[len(before)-1])) && (after == "" || !inside(after[0])) {
			return true
		}
		rest = after
	}
}
