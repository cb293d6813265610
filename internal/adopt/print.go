package adopt

import (
	"natspread/internal/adopt/walk"
)

// Report is what adopt prints with --json.
type Report struct {
	Config      string       `json:"config"`         // where it was written; "" for nowhere
	Text        string       `json:"text,omitempty"` // the config, where it was to be printed
	Adopted     []Adopted    `json:"services"`
	Refused     []KeptRules  `json:"refused"`
	Questions   []Question   `json:"questions"`
	Left        []KeptRules  `json:"left"`
	Differences []Difference `json:"differences"`
	TakeOut     []string     `json:"take_out"` // the lines that take out what the config replaces
	Boot        []BootLine   `json:"boot"`
	Notes       []string     `json:"notes,omitempty"` // what else translates on this host
}

// BootLine is a line of a file that loads the old rules at boot.
type BootLine struct {
	From string `json:"from"` // who reads it: ufw, systemd
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
	Sure bool   `json:"sure"` // it names a backend; else a variable may be one
}

// Adopted is a service that was made from rules.
type Adopted struct {
	Name      string          `json:"name"`
	Listen    []string        `json:"listen"`
	Protocols []string        `json:"protocols"`
	Backends  []AdoptedTarget `json:"backends"`
	Lost      float64         `json:"lost"` // the share that no rule took
	Slip      string          `json:"slip,omitempty"`
	Notes     []string        `json:"notes,omitempty"` // the comments that the config has
	Rules     []RuleText      `json:"rules"`
}

// AdoptedTarget is a backend of one. Shares are from 0 to 1.
type AdoptedTarget struct {
	To          string  `json:"to"`
	Share       float64 `json:"share"`
	Meant       float64 `json:"meant"`
	Weight      int     `json:"weight"`
	ConfigShare float64 `json:"config_share"`
}

// KeptRules is rules that stay as they are, and why.
type KeptRules struct {
	Why   string     `json:"why"`
	Rules []RuleText `json:"rules"`
}

// RuleText is a rule, and where it stands.
type RuleText struct {
	Table string `json:"table"`
	Chain string `json:"chain"`
	Place int    `json:"place"`          // in its chain, from 1
	Line  int    `json:"line,omitempty"` // of the file
	Rule  string `json:"rule"`
}

// Report returns the result for programs.
func (r Result) Report() Report {
	report := Report{
		Adopted: []Adopted{}, Refused: keptOf(r.Refused), Questions: append([]Question{}, r.Questions...), Left: keptOf(r.Left),
		Differences: append([]Difference{}, r.Differences...), TakeOut: append([]string{}, r.TakeOutLines()...), Boot: []BootLine{},
	}
	for _, s := range r.Services {
		one := Adopted{Name: s.Name, Listen: s.Listen, Protocols: s.Protocols, Backends: []AdoptedTarget{}, Lost: s.Left, Slip: s.Slip, Notes: s.Notes, Rules: ruleTexts(s.Rules)}
		for _, t := range s.Targets {
			one.Backends = append(one.Backends, AdoptedTarget{t.To, t.Share, t.Meant, t.Weight, t.Config})
		}
		report.Adopted = append(report.Adopted, one)
	}
	return report
}

// keptOf returns refusals for programs.
func keptOf(all []Refusal) []KeptRules {
	list := []KeptRules{}
	for _, one := range all {
		list = append(list, KeptRules{one.Why, ruleTexts(one.Rules)})
	}
	return list
}

// ruleTexts returns rules for programs.
func ruleTexts(all []*walk.Rule) []RuleText {
	list := []RuleText{}
	for _, rule := range all {
		if rule != nil {
			list = append(list, RuleText{rule.Table, rule.Chain, rule.Place, rule.Line, rule.String()})
		}
	}
	return list
}
