package adopt

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// Lines says what was adopted, what was left or refused and why, and what is not the same. In brief is without what
// the config has as comments, and without the rules that TakeOutLines has.
func (r Result) Lines(brief bool) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, s := range r.Services {
		add("adopted %s: %s", s.Name, s.asks())
		for _, t := range s.Targets {
			add("- %s", t.text(s.Slip != ""))
		}
		if s.Left > lost {
			add("- no rule took %s", text.Percent(s.Left))
		}
		for _, note := range s.Notes {
			if !brief {
				add("- note: %s", note)
			}
		}
		for _, rule := range s.Rules {
			if !brief || !r.goes(s.draft.family, rule) {
				add("- from %s", Quote(rule))
			}
		}
	}
	for _, q := range together(r.Questions) {
		add("choose for %s: %s: %s", q.Service, q.Text, q.answers())
	}
	for _, refusal := range r.Refused {
		add("refused: %s", refusal.Why)
		lines = append(lines, quotes(refusal.Rules)...)
	}
	for _, left := range r.Left {
		add("left: %s", left.Why)
		lines = append(lines, quotes(left.Rules)...)
	}
	for _, d := range r.Differences {
		add("differs: %s, %s: old: %s; new: %s", d.Service, d.Packet, d.Old, d.New)
	}
	return lines
}

// goes tells whether a rule is taken out.
func (r Result) goes(family rules.Family, rule *walk.Rule) bool {
	return slices.Contains(r.TakeOut, Removal{family, rule.Chain, rule.Place, rule.Line, rule.Text})
}

// asks says what a service is for.
func (s Service) asks() string {
	return strings.Join(s.Protocols, ", ") + " " + strings.Join(s.Listen, ", ")
}

// text says where connections go, and how many.
func (t Target) text(slipped bool) string {
	words := fmt.Sprintf("%s %s", t.To, text.Percent(t.Share))
	if slipped {
		words += fmt.Sprintf(", meant %s", text.Percent(t.Meant))
	}
	if config := text.Percent(t.Config); config != text.Percent(t.Share) {
		words += fmt.Sprintf(", with weight %d %s", t.Weight, config)
	}
	return words
}

// quotes quotes rules, a line each.
func quotes(list []*walk.Rule) []string {
	var lines []string
	for _, rule := range list {
		lines = append(lines, "- "+Quote(rule))
	}
	return lines
}

// Quote says where a rule stands, and how it reads.
func Quote(rule *walk.Rule) string {
	line := ""
	if rule.Line > 0 {
		line = fmt.Sprintf("line %d, ", rule.Line)
	}
	return fmt.Sprintf("%srule %d of %s: %s", line, rule.Place, chainName(rule.Table, rule.Chain), rule)
}

// chainName names a chain, with its table where that is not nat.
func chainName(table, chain string) string {
	if table == "nat" {
		return chain
	}
	return chain + " (" + table + ")"
}

// TakeOutLines lists what goes, as iptables does it.
func (r Result) TakeOutLines() []string {
	var lines []string
	for _, one := range r.TakeOut {
		lines = append(lines, one.Command())
	}
	return lines
}

// Command returns the line that takes out what goes.
func (r Removal) Command() string {
	iptables := rules.Program(r.Family, "", "") + " -t nat "
	if r.Text == "" {
		return iptables + "-X " + r.Chain
	}
	return iptables + "-D " + r.Chain + " " + r.Text
}

// Backends returns the addresses of all that was adopted, or is as soon as a question is answered, each once: what
// a file is searched for that has the old rules.
func (r Result) Backends() []string {
	var all []string
	drafts := slices.Clone(r.open)
	for _, s := range r.Services {
		drafts = append(drafts, s.draft)
	}
	for _, d := range drafts {
		for _, p := range d.parts {
			if addr := p.target.Address; addr.IsValid() && !slices.Contains(all, addr.String()) {
				all = append(all, addr.String())
			}
		}
	}
	return all
}

// Staying returns the rules that stay although they balance: what was refused, and what is left out.
func (r Result) Staying() []rules.Taken {
	staying := slices.Clone(r.excepted)
	for _, refusal := range r.Refused {
		staying = append(staying, refusal.Rules...)
	}
	var all []rules.Taken
	for _, set := range r.sets {
		for _, rule := range set.Rules("nat") {
			if slices.Contains(staying, rule) {
				all = append(all, rules.Taken{Family: set.Family, Chain: rule.Chain, Place: rule.Place, Text: rule.Text})
			}
		}
	}
	return all
}
