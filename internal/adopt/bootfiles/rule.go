package bootfiles

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// appends is how a line adds a rule to a chain: for iptables-restore, or by iptables in a script.
var appends = regexp.MustCompile(`(?:^|\s)(?:-A|--append|-I|--insert)\s+(\S+)\s+(?:\d+\s+)?(.*)$`)

// ofTable is the option that names the nat table, which may stand anywhere in a command.
var ofTable = regexp.MustCompile(`(?:^|\s)(?:-t|--table)\s+nat\b`)

// behind is what ends a command of a script.
var behind = regexp.MustCompile(`\s*(?:;|&|\||>|#|\\$).*$`)

// family is the one that a line loads rules for, by the names of the program and of the file.
func (l Line) family() rules.Family {
	if strings.Contains(l.Text+l.File, "ip6tables") || strings.Contains(filepath.Base(l.File), "6") {
		return rules.IPv6
	}
	return rules.IPv4
}

// ruleOf returns the rule that a line loads, as "-A CHAIN ..."; "" where it loads none that can be read, as one
// with a variable.
func ruleOf(line Line) string {
	parts := appends.FindStringSubmatch(line.Text)
	if parts == nil || hasVariable(line.Text) {
		return ""
	}
	text := parts[2]
	if !isRule.MatchString(line.Text) {
		text = behind.ReplaceAllString(text, "")
	}
	return "-A " + parts[1] + ofTable.ReplaceAllString(" "+text, "")
}

// hasOwner tells whether a rule is in a chain that a program makes by itself, as natspread does: it was saved with
// all others, and that program replaces it.
func hasOwner(rule string) bool {
	chain, _, _ := strings.Cut(strings.TrimPrefix(rule, "-A "), " ")
	return rules.IsOwn(chain) || walk.Owner(chain) != ""
}

// read reads a rule of the nat table; nil where it is none.
func read(family rules.Family, rule string) *walk.Rule {
	if rule == "" {
		return nil
	}
	all := walk.Parse(family, []byte("*nat\n"+rule+"\nCOMMIT\n")).Rules("nat")
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// meaning is the same for rules that do the same, in whatever words; "" for what is no rule.
func meaning(family rules.Family, rule string) string {
	if one := read(family, rule); one != nil {
		return fmt.Sprintf("%v %s %+v %+v %+v %q", family, one.Chain, one.Asks, one.Share, one.Target, one.Unknown)
	}
	return ""
}

// meaningsOf returns what rules mean.
func meaningsOf(list []rules.Taken) map[string]bool {
	all := map[string]bool{}
	for _, one := range list {
		if one.Text != "" {
			all[meaning(one.Family, one.String())] = true
		}
	}
	delete(all, "")
	return all
}
