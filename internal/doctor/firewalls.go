package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/hostfiles"
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
	files := h.files()
	if !files.Exists("/run/systemd/system") && !files.Exists("/usr/lib/systemd/systemd") && !files.Exists("/lib/systemd/systemd") {
		return NoSystemd, []Finding{{Severity: Risk, What: "cannot tell what loads the rules at boot: there is no systemd", Fix: ""}}
	}
	file, present := files.First("system/" + unit)
	switch {
	case !present:
		return Missing, []Finding{{Severity: Risk, What: "nothing loads the rules at boot: there is no " + unit, Fix: "natspread install"}}
	case files.Masked(file):
		return Masked, []Finding{{Severity: Risk, What: "nothing loads the rules at boot: " + unit + " is masked by " + file, Fix: "systemctl unmask " + unit}}
	case !files.Enabled(unit):
		return Disabled, []Finding{{Severity: Risk, What: "nothing loads the rules at boot: " + unit + " is not enabled", Fix: "systemctl enable " + unit}}
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
	file, _ := e.files().First("system/" + unit)
	var found []Finding
	for _, flusher := range flushers {
		if e.files().Enabled(flusher) {
			found = append(found, e.flusher(flusher, file)...)
		}
	}
	return found
}

// plugin is the file that natspread's package adds to netfilter-persistent's plugins.
const plugin = "/usr/share/netfilter-persistent/plugins.d/50-natspread"

// flusher looks at a service that empties the nat table when it starts. natspread has to
// start after it at boot, or has to be run by it. nftables and netfilter-persistent empty
// the table at each restart or reload, too.
func (e examination) flusher(name, file string) []Finding {
	files := e.files()
	ours := files.UnitOptions(unit)
	restores := slices.ContainsFunc(files.UnitOptions(name).Words("Service", "ExecStartPost"), func(word string) bool {
		return strings.Contains(word, "natspread")
	})
	after := slices.Contains(ours.Words("Unit", "After"), name)
	switch {
	case restores, name == "nftables.service" && e.Variant == rules.Legacy: // nft leaves legacy's tables alone
		return nil
	case after && name == "nftables.service":
		return []Finding{{Severity: Risk, What: "a restart or reload of " + name + " empties the nat table, and nothing loads natspread's rules again", Fix: "natspread install"}}
	case after && name == "netfilter-persistent.service" && !files.Exists(plugin):
		return []Finding{{
			Severity: Risk, What: "netfilter-persistent reload empties the nat table, and nothing loads natspread's rules again",
			Fix: fmt.Sprintf(`printf '#!/bin/sh\n[ "$1" != start ] || [ ! -d /run/natspread ] || exec %[2]s restore\n' > %[1]s && chmod 755 %[1]s`, plugin, programOf(ours)),
		}}
	case after:
		return nil
	}
	return []Finding{{
		Severity: AtBoot, What: fmt.Sprintf("%s empties the nat table when it starts, and %s does not wait for it (After= in %s)", name, unit, file),
		Fix: fmt.Sprintf("mkdir -p /etc/systemd/system/%[1]s.d && printf '[Service]\\nExecStartPost=-%[2]s restore\\n' > /etc/systemd/system/%[1]s.d/natspread.conf && systemctl daemon-reload", name, programOf(ours)),
	}}
}

// programOf returns the program that natspread's unit starts.
func programOf(ours hostfiles.Options) string {
	if words := ours.Words("Service", "ExecStart"); len(words) > 0 {
		return words[0]
	}
	return "/usr/sbin/natspread"
}
