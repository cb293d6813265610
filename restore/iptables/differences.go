package iptables

import (
	"fmt"
	"strings"

	"natspread/internal/rules"
)

// mostLines is how many rules of one chain get a line: nobody reads thousands.
const mostLines = 8

// Differences tells, a line each, how natspread's part of a live table differs from
// what it should be: jumps and own chains that are missing, changed, doubled or left
// over, and in a chain each rule that is, with its place from 1 as in iptables -R. None
// means in sync. Where a jump stands among the rules of others is not part of it: see
// JumpsNotFirst.
func Differences(saved rules.Saved, table rules.Table) []string {
	var differences []string
	add := func(format string, args ...any) {
		differences = append(differences, table.String()+": "+fmt.Sprintf(format, args...))
	}
	for _, builtIn := range table.Name.BuiltIn() {
		if how := jumpDifference(saved, builtIn, table.Jumps(builtIn)); how != "" {
			add("the jump in %s is %s", builtIn, how)
		}
	}
	live := saved.OwnChains()
	for _, chain := range live {
		want, found := table.Chain(chain.Name)
		switch {
		case !found:
			add("chain %s is left over", chain.Name)
		case !sameRules(chain.Rules, want.Rules):
			for _, how := range ruleDifferences(chain.Rules, want.Rules) {
				add("chain %s %s", chain.Name, how)
			}
		}
	}
	for _, name := range missing(live, table) {
		add("chain %s is missing", name)
	}
	return differences
}

// jumpDifference says what is wrong with the jumps of a built-in chain, "" when
// nothing is.
func jumpDifference(saved rules.Saved, builtIn string, want []rules.Rule) string {
	live := saved.Jumps(builtIn)
	switch {
	case sameRules(live, want):
		return ""
	case len(live) < len(want):
		return "missing"
	case len(want) == 0:
		return "left over"
	case len(live) == len(want):
		i := 0
		for i < len(live)-1 && sameRules(live[i:i+1], want[i:i+1]) {
			i++
		}
		return fmt.Sprintf("changed: it is %s", live[i].Text)
	}
	var places []string
	for _, jump := range jumpsIn(saved, builtIn) {
		places = append(places, fmt.Sprint(jump.place))
	}
	return "doubled: rules " + strings.Join(places, " and ")
}

// jumpsIn returns the jumps of a built-in chain and their places.
func jumpsIn(saved rules.Saved, builtIn string) []placed {
	chain, _ := saved.Chain(builtIn)
	var jumps []placed
	for i, rule := range chain.Rules {
		if rules.IsOwn(rule.JumpsTo()) {
			jumps = append(jumps, placed{place: i + 1, text: rule.Text})
		}
	}
	return jumps
}

// JumpsNotFirst tells, a line each, which jumps stand behind rules of others, which may
// take a connection before natspread's do. In FORWARD others' bans belong before them: there
// it tells of jumps that are not where forwardPlace has them.
func JumpsNotFirst(saved rules.Saved, table rules.Table) []string {
	var lines []string
	for _, builtIn := range saved.Name.BuiltIn() {
		belongs := 1
		if builtIn == rules.Forward {
			belongs = forwardPlace(saved, table)
		}
		for i, jump := range jumpsIn(saved, builtIn) {
			if i == 0 && jump.place != belongs || i < len(table.Jumps(builtIn)) && jump.place != belongs+i {
				lines = append(lines, fmt.Sprintf("%v: %s", table.Family, wrongPlace(table.Name, builtIn, jump.place, belongs+i)))
				break
			}
		}
	}
	return lines
}

// wrongPlace says what it means that a jump is not where it belongs.
func wrongPlace(table rules.TableName, builtIn string, place, belongs int) string {
	switch {
	case table == rules.Mangle:
		return fmt.Sprintf("the jump in %s of the mangle table is rule %d: the segments of a connection that a rule before it accepts do not become shorter", builtIn, place)
	case builtIn != rules.Forward:
		return fmt.Sprintf("the jump in %s is rule %d: a connection that a rule before it accepts or translates does not reach natspread", builtIn, place)
	case place < belongs:
		return fmt.Sprintf("the jump in FORWARD is rule %d, and belongs at place %d: connections pass the bans between", place, belongs)
	}
	return fmt.Sprintf("the jump in FORWARD is rule %d, and belongs at place %d: a rule between may drop connections", place, belongs)
}

// missing returns the names of the table's chains that the kernel does not hold.
func missing(live []rules.SavedChain, table rules.Table) []string {
	held := make(map[string]bool, len(live))
	for _, chain := range live {
		held[chain.Name] = true
	}
	var names []string
	for _, chain := range table.Chains {
		if !held[chain.Name] {
			names = append(names, chain.Name)
		}
	}
	return names
}

// sameRules tells whether the kernel's text of rules is that of the rules wanted.
func sameRules(live []rules.SavedRule, want []rules.Rule) bool {
	if len(live) != len(want) {
		return false
	}
	var text []byte
	for i, rule := range want {
		text = rule.AppendText(text[:0])
		if string(text) != live[i].Text {
			return false
		}
	}
	return true
}

// ruleDifferences says what is wrong with the rules of a chain, a line each, to stand
// behind its name. Both are taken for what they are, whatever the order: only when no
// rule is lacking and none too many, is the order wrong.
func ruleDifferences(live []rules.SavedRule, want []rules.Rule) []string {
	is, ought := make([]string, len(live)), make([]string, len(want))
	for i, rule := range live {
		is[i] = rule.Text
	}
	for i, rule := range want {
		ought[i] = string(rule.AppendText(nil))
	}
	if len(is) == 0 {
		return []string{fmt.Sprintf("is empty: it should have %d", len(ought)) + ruleOrRules(len(ought))}
	}
	lacking, more := without(ought, is), without(is, ought)
	var lines []string
	switch {
	case len(lacking) == 0 && len(more) == 0:
		return []string{"has its rules in another order"}
	case len(lacking) == len(more):
		for i, rule := range more {
			lines = append(lines, fmt.Sprintf("has rule %d changed: it is %s, not %s", rule.place, rule.text, lacking[i].text))
		}
	default:
		for _, rule := range lacking {
			lines = append(lines, fmt.Sprintf("lacks rule %d: %s", rule.place, rule.text))
		}
		wanted := make(map[string]bool, len(ought))
		for _, text := range ought {
			wanted[text] = true
		}
		for _, rule := range more {
			how := "has rule %d, which should not be there: %s"
			if wanted[rule.text] {
				how = "has a rule doubled, as rule %d: %s"
			}
			lines = append(lines, fmt.Sprintf(how, rule.place, rule.text))
		}
	}
	return firstLines(lines)
}

// ruleOrRules is the noun behind a number of rules.
func ruleOrRules(n int) string {
	if n == 1 {
		return " rule"
	}
	return " rules"
}

// without returns the texts, with their places, that are not among others: as often as
// they are there too often, the last ones.
func without(texts, others []string) []placed {
	count := make(map[string]int, len(others))
	for _, text := range others {
		count[text]++
	}
	var left []placed
	for i, text := range texts {
		if count[text]--; count[text] < 0 {
			left = append(left, placed{place: i + 1, text: text})
		}
	}
	return left
}

// firstLines cuts what would be too long to read, and says how much.
func firstLines(lines []string) []string {
	if more := len(lines) - mostLines; more > 1 {
		lines = append(lines[:mostLines:mostLines], fmt.Sprintf("differs in %d more rules", more))
	}
	return lines
}

// HasJump tells whether a live table leads to a chain of natspread's.
func HasJump(saved rules.Saved) bool {
	for _, builtIn := range saved.Name.BuiltIn() {
		if len(saved.Jumps(builtIn)) > 0 {
			return true
		}
	}
	return false
}

// ForeignRules counts the rules of a table that are not natspread's.
func ForeignRules(saved rules.Saved) int {
	n := 0
	for _, chain := range saved.Chains {
		if !rules.IsOwn(chain.Name) {
			n += len(chain.Rules) - len(saved.Jumps(chain.Name))
		}
	}
	return n
}
