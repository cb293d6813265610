package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/hostfiles"
)

// afterInit is what ufw runs when it has loaded its rules, where it may be executed.
const afterInit = "/etc/ufw/after.init"

// ufw looks for what empties the nat table at each ufw reload, which nothing loads again
// unless after.init does. ufw loads before.rules with --noflush, so a -F in its part of the nat
// table is there for the rules that follow it, and must stay.
func (e examination) ufw() []Finding {
	if !strings.EqualFold(e.files().ShellValue("/etc/ufw/ufw.conf", "ENABLED"), "yes") || e.runsNatspread(afterInit) {
		return nil
	}
	var places []hostfiles.Place
	for _, file := range []string{"/etc/ufw/before.rules", "/etc/ufw/before6.rules", "/etc/ufw/after.rules", "/etc/ufw/after6.rules", "/etc/ufw/user.rules", "/etc/ufw/user6.rules"} {
		places = append(places, e.flushesNAT(file)...)
	}
	what := "MANAGE_BUILTINS=yes in /etc/default/ufw"
	switch {
	case len(places) > 0:
		what = places[0].String()
	case !strings.EqualFold(e.files().ShellValue("/etc/default/ufw", "MANAGE_BUILTINS"), "yes"):
		return nil
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s empties the nat table at each ufw reload, and nothing loads natspread's rules again", what)}
	const line = `[ "$1" != start ] || ! systemctl is-active --quiet natspread || natspread restore --quiet`
	if e.files().Executable(afterInit) { // somebody wrote it: it may end before what stands at its end
		found.What += fmt.Sprintf(": add to %s: %s", afterInit, line)
		return []Finding{found}
	}
	found.Fix = fmt.Sprintf(`printf '%%s\n' '#!/bin/sh' '%s' > %[2]s && chmod 755 %[2]s`, line, afterInit)
	return []Finding{found}
}

// flushesNAT returns the lines of a file of rules that empty the nat table, or a chain there
// that natspread's jump is in.
func (h Host) flushesNAT(file string) []hostfiles.Place {
	var found []hostfiles.Place
	table := ""
	for _, line := range h.files().Lines(file) {
		words := strings.Fields(line.Text)
		switch {
		case strings.HasPrefix(line.Text, "*"):
			table = line.Text[1:]
		case table == "nat" && (words[0] == "-F" || words[0] == "--flush") &&
			(len(words) == 1 || slices.Contains([]string{"PREROUTING", "OUTPUT", "POSTROUTING"}, words[1])):
			found = append(found, line.At)
		}
	}
	return found
}

// runsNatspread tells whether a script may be run, and runs natspread.
func (h Host) runsNatspread(file string) bool {
	return h.files().Executable(file) && slices.ContainsFunc(h.files().Lines(file), func(line hostfiles.Line) bool { return strings.Contains(line.Text, "natspread") })
}
