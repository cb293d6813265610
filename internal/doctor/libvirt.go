package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// libvirtHook is what libvirt runs when a network of its has started.
const libvirtHook = "/etc/libvirt/hooks/network.d/natspread"

// libvirt looks for connections that libvirt's rules refuse once they stand before natspread's:
// it puts them first when it starts, which is after natspread at boot, and whenever it starts
// a network.
func (e examination) libvirt() []Finding {
	daemon, present := e.libvirtUnit()
	if !present || e.runsNatspread(libvirtHook) {
		return nil
	}
	var found []Finding
	for _, family := range e.families() {
		for _, refused := range e.refusedByLibvirt(family) {
			found = append(found, Finding{
				Severity: AtBoot, What: refused,
				Fix: fmt.Sprintf(`mkdir -p /etc/libvirt/hooks/network.d && printf '#!/bin/sh\n[ "$2" != started ] || %[1]s restore --quiet\n' > %[2]s && chmod 755 %[2]s && `+
					`mkdir -p /etc/systemd/system/%[3]s.d && printf '[Service]\nExecStartPost=-%[1]s restore\n' > /etc/systemd/system/%[3]s.d/natspread.conf && systemctl daemon-reload`,
					programOf(e.files().UnitOptions(unit)), libvirtHook, daemon),
			})
		}
	}
	return found
}

// libvirtUnit returns the unit that makes libvirt's networks, if something starts it.
func (h Host) libvirtUnit() (name string, present bool) {
	for _, name := range []string{"virtnetworkd", "libvirtd"} {
		if h.files().Enabled(name+".service") || h.files().Enabled(name+".socket") {
			return name + ".service", true
		}
	}
	return "", false
}

// refusedByLibvirt says which rule of libvirt's refuses connections of services that FORWARD
// is to let through, where natspread's rules are not asked before.
func (e examination) refusedByLibvirt(family rules.Family) []string {
	e.Services = slices.DeleteFunc(slices.Clone(e.Services), func(s config.Service) bool { return s.Forward != config.Accept })
	read := packetpath.Read{Family: family, Variant: e.Variant, Hooks: e.Hooks}
	read.Rulesets = nil
	for _, r := range e.Rulesets {
		read.Rulesets = append(read.Rulesets, withoutJump(r))
	}
	packets := e.travel(family, false).Passing
	keys, done := deeds(packets, packetpath.New(read).Pass(packets.List), packetpath.Dropped)
	var refused []string
	for _, key := range keys {
		if strings.HasPrefix(key.rule.Hook, "LIBVIRT_") {
			refused = append(refused, fmt.Sprintf("%v: libvirt puts its rules first when it starts, or starts a network, and then refuses connections of %s to %s: %s",
				family, text.Few(done[key].Services), text.Few(done[key].names), quoted(key.rule)))
		}
	}
	return refused
}

// withoutJump returns a ruleset without natspread's jump in FORWARD.
func withoutJump(r rules.Ruleset) rules.Ruleset {
	tables := maps.Clone(r.Tables)
	filter := slices.Clone(tables["filter"])
	for i := range filter {
		if filter[i].Name == rules.Forward {
			filter[i].Rules = slices.DeleteFunc(slices.Clone(filter[i].Rules), func(rule rules.SavedRule) bool { return rules.IsOwn(rule.JumpsTo()) })
		}
	}
	tables["filter"] = filter
	r.Tables = tables
	return r
}
