package packetpath

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// fromIPTables reads a table of iptables. partly names the rules, by chain and place, of which
// iptables shows only a part: they may ask for anything more.
func fromIPTables(r rules.Ruleset, name string, partly map[string][]int) table {
	read := table{}
	iptables := rules.Program(r.Family, r.Variant, "") + " -t " + name
	for _, saved := range r.Tables[name] {
		read[saved.Name] = &chain{}
	}
	for _, saved := range r.Tables[name] {
		c := read[saved.Name]
		hook := fmt.Sprintf("%s of the %s table (%s)", saved.Name, name, r.Variant)
		at := func(place int) Rule { return Rule{Hook: hook, Place: place, Variant: r.Variant, Table: name} }
		if saved.Policy == "DROP" {
			policy := at(0)
			policy.Text, policy.Remove = "the policy of "+saved.Name, fmt.Sprintf("%s -P %s ACCEPT", iptables, saved.Name)
			c.policy = &policy
		}
		c.rules = make([]rule, len(saved.Rules))
		for i, one := range saved.Rules {
			is := at(i + 1)
			is.Text = "-A " + saved.Name + " " + one.Text
			is.Remove = fmt.Sprintf("%s -D %s %s", iptables, saved.Name, one.Text)
			c.rules[i] = ruleOf(one, read)
			if slices.Contains(partly[saved.Name], i+1) {
				is.Text += " (iptables shows only a part of it)"
				is.Remove = fmt.Sprintf("%s -D %s %d", iptables, saved.Name, i+1)
				c.rules[i].conditions = append(c.rules[i].conditions, always(perhaps))
			}
			c.rules[i].is = &is
		}
	}
	return read
}

// ruleOf reads one rule of a table.
func ruleOf(saved rules.SavedRule, all table) rule {
	words := slices.Collect(saved.Words())
	reader := optionReader{words: words}
	for reader.next() {
	}
	read := rule{conditions: reader.conditions, exact: reader.exact}
	target := saved.JumpsTo()
	if at := slices.Index(words, target); at >= 0 && target != "" {
		read.act(target, words[at+1:], slices.Contains(words[:at], "-g"), all)
	}
	return read
}

// act sets what a rule does, by its target and the words behind it.
func (r *rule) act(target string, options []string, goTo bool, all table) {
	switch target {
	case "ACCEPT":
		r.verdict = accepts
	case "DROP", "REJECT", "TARPIT", "STEAL":
		r.verdict = drops
	case "RETURN":
		r.verdict = returns
	case "DNAT", "REDIRECT", "BALANCE":
		r.verdict = translates
	case "SNAT", "MASQUERADE":
		r.verdict = hides
	case "NOTRACK":
		r.effect = untracks
	case "CT":
		r.track(options)
	default:
		r.lead(target, goTo, all)
	}
}

// lead sets where a rule leads whose target is a chain, or one that is not known here.
func (r *rule) lead(target string, goTo bool, all table) {
	_, isChain := all[target]
	switch {
	case rules.IsOwn(target):
		r.verdict, r.target = ours, target
	case isChain && goTo:
		r.verdict, r.target = goesTo, target
	case isChain:
		r.verdict, r.target = jumps, target
	case !rules.Passes(target):
		r.verdict = asks
	}
}

// track sets what a rule with the target CT does.
func (r *rule) track(options []string) {
	for i, option := range options {
		switch {
		case option == "--notrack":
			r.effect = untracks
		case strings.HasPrefix(option, "--zone"):
			r.effect, r.zone = zones, -1
			if number, err := strconv.Atoi(options[min(i+1, len(options)-1)]); option == "--zone" && err == nil {
				r.zone = number
			}
		}
	}
}
