package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// afterInit is what ufw runs when it has loaded its rules, where it may be executed.
const afterInit = "/etc/ufw/after.init"

// ufw looks for what empties the nat table at each ufw reload, which nothing loads again
// unless after.init does. ufw loads before.rules with --noflush, so a -F in its part of the nat
// table is there for the rules that follow it, and must stay.
func (e examination) ufw() []Finding {
	if !strings.EqualFold(e.shellValue("/etc/ufw/ufw.conf", "ENABLED"), "yes") || e.runsNatspread(afterInit) {
		return nil
	}
	var places []place
	for _, file := range []string{"/etc/ufw/before.rules", "/etc/ufw/before6.rules", "/etc/ufw/after.rules", "/etc/ufw/after6.rules", "/etc/ufw/user.rules", "/etc/ufw/user6.rules"} {
		places = append(places, e.flushesNAT(file)...)
	}
	what := "MANAGE_BUILTINS=yes in /etc/default/ufw"
	switch {
	case len(places) > 0:
		what = places[0].String()
	case !strings.EqualFold(e.shellValue("/etc/default/ufw", "MANAGE_BUILTINS"), "yes"):
		return nil
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%s empties the nat table at each ufw reload, and nothing loads natspread's rules again", what)}
	const line = `[ "$1" != start ] || ! systemctl is-active --quiet natspread || natspread restore --quiet`
	if e.executable(afterInit) { // somebody wrote it: it may end before what stands at its end
		found.What += fmt.Sprintf(": add to %s: %s", afterInit, line)
		return []Finding{found}
	}
	found.Fix = fmt.Sprintf(`printf '%%s\n' '#!/bin/sh' '%s' > %[2]s && chmod 755 %[2]s`, line, afterInit)
	return []Finding{found}
}

// flushesNAT returns the lines of a file of rules that empty the nat table, or a chain there
// that natspread's jump is in.
func (h Host) flushesNAT(file string) []place {
	var found []place
	table := ""
	for _, line := range h.lines(file) {
		words := strings.Fields(line.text)
		switch {
		case strings.HasPrefix(line.text, "*"):
			table = line.text[1:]
		case table == "nat" && (words[0] == "-F" || words[0] == "--flush") &&
			(len(words) == 1 || slices.Contains([]string{"PREROUTING", "OUTPUT", "POSTROUTING"}, words[1])):
			found = append(found, line.at)
		}
	}
	return found
}

// executable tells whether a file may be run.
func (h Host) executable(file string) bool {
	info, err := os.Stat(filepath.Join(h.Root, file))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// runsNatspread tells whether a script may be run, and runs natspread.
func (h Host) runsNatspread(file string) bool {
	return h.executable(file) && slices.ContainsFunc(h.lines(file), func(line numbered) bool { return strings.Contains(line.text, "natspread") })
}
