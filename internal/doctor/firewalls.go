package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// unit is natspread's.
const unit = paths.Unit

// flushers are services that empty or replace the nat table when they start.
var flushers = []string{
	"nftables.service", "netfilter-persistent.service", "iptables.service", "ip6tables.service", "ufw.service", "firewalld.service",
	"shorewall.service", "shorewall6.service", "ferm.service", "firehol.service", "arno-iptables-firewall.service", "csf.service",
}

// Unit is how natspread's unit stands.
type Unit string

// What the files say of the unit. The running systemd has words of its own, as active.
const (
	NoSystemd Unit = ""
	Missing   Unit = "missing"
	Masked    Unit = "masked"
	Disabled  Unit = "disabled"
	Enabled   Unit = "enabled"
)

// Loader tells by the files how natspread's unit stands, and what is to say when nothing
// loads the rules at boot.
func (h Host) Loader() (Unit, []Finding) {
	if !h.exists("/run/systemd/system") && !h.exists("/usr/lib/systemd/systemd") && !h.exists("/lib/systemd/systemd") {
		return NoSystemd, []Finding{{Risk, "cannot tell what loads the rules at boot: there is no systemd", ""}}
	}
	file, present := h.first("system/" + unit)
	switch {
	case !present:
		return Missing, []Finding{{Risk, "nothing loads the rules at boot: there is no " + unit, "natspread install"}}
	case h.masked(file):
		return Masked, []Finding{{Risk, "nothing loads the rules at boot: " + unit + " is masked by " + file, "systemctl unmask " + unit}}
	case !h.enabled(unit):
		return Disabled, []Finding{{Risk, "nothing loads the rules at boot: " + unit + " is not enabled", "systemctl enable " + unit}}
	}
	return Enabled, nil
}

// firewalls looks at what boot does to the rules: whether it loads them, and which
// service then takes them out again.
func (e examination) firewalls() []Finding {
	if e.Applied == 0 {
		return nil // there is nothing to load
	}
	if _, found := e.Loader(); len(found) > 0 {
		return found
	}
	file, _ := e.first("system/" + unit)
	var found []Finding
	for _, flusher := range flushers {
		if e.enabled(flusher) {
			found = append(found, e.flusher(flusher, file)...)
		}
	}
	return found
}

// plugin is the file that natspread's package adds to netfilter-persistent's plugins.
const plugin = "/usr/share/netfilter-persistent/plugins.d/50-natspread"

// unitOptions returns the options of a unit's file and its drop-ins.
func (h Host) unitOptions(name string) options {
	file, _ := h.first("system/" + name)
	return h.withDropIns(file, below("system/"+name+".d"))
}

// enabled tells whether boot starts a unit that is there.
func (h Host) enabled(name string) bool {
	file, present := h.first("system/" + name)
	if !present || h.masked(file) {
		return false
	}
	for _, dir := range below("system") {
		if len(h.glob(path.Join(dir, "*.wants", name)))+len(h.glob(path.Join(dir, "*.requires", name))) > 0 {
			return true
		}
	}
	return false
}

// words returns the words of all values of an option. An empty value removes those
// before it (systemd.syntax(7)).
func (o options) words(section, name string) []string {
	var all []string
	for _, option := range o {
		if option.section == section && option.name == name {
			all = append(all, strings.Fields(option.value)...)
			if option.value == "" {
				all = nil
			}
		}
	}
	return all
}

// flusher looks at a service that empties the nat table when it starts. natspread has to
// start after it at boot, or has to be run by it. nftables and netfilter-persistent empty
// the table at each restart or reload, too.
func (e examination) flusher(name, file string) []Finding {
	ours := e.unitOptions(unit)
	restores := slices.ContainsFunc(e.unitOptions(name).words("Service", "ExecStartPost"), func(word string) bool {
		return strings.Contains(word, "natspread")
	})
	after := slices.Contains(ours.words("Unit", "After"), name)
	switch {
	case restores, name == "nftables.service" && e.Variant == rules.Legacy: // nft leaves legacy's tables alone
		return nil
	case after && name == "nftables.service":
		return []Finding{{Risk, "a restart or reload of " + name + " empties the nat table, and nothing loads natspread's rules again", "natspread install"}}
	case after && name == "netfilter-persistent.service" && !e.exists(plugin):
		return []Finding{{
			Risk, "netfilter-persistent reload empties the nat table, and nothing loads natspread's rules again",
			fmt.Sprintf(`printf '#!/bin/sh\n[ "$1" != start ] || [ ! -d /run/natspread ] || exec %[2]s restore\n' > %[1]s && chmod 755 %[1]s`, plugin, programOf(ours)),
		}}
	case after:
		return nil
	}
	return []Finding{{
		AtBoot, fmt.Sprintf("%s empties the nat table when it starts, and %s does not wait for it (After= in %s)", name, unit, file),
		fmt.Sprintf("mkdir -p /etc/systemd/system/%[1]s.d && printf '[Service]\\nExecStartPost=-%[2]s restore\\n' > /etc/systemd/system/%[1]s.d/natspread.conf && systemctl daemon-reload", name, programOf(ours)),
	}}
}

// programOf returns the program that natspread's unit starts.
func programOf(ours options) string {
	if words := ours.words("Service", "ExecStart"); len(words) > 0 {
		return words[0]
	}
	return "/usr/sbin/natspread"
}
