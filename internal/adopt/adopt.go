// Package adopt turns the balancing rules that a host has into a config that does the same, and says
// what it took, what it left, and what is not the same.
//
// It follows packets through the rules and does not look for their patterns: so each target has its true
// share. Whatever no config can say is refused with its rules, and never guessed; config.Parse is the judge
// of that. All of it is a function of what was read.
package adopt

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
)

// Input is what is to be adopted.
type Input struct {
	Rules []*walk.Ruleset // of one family or both
	// Link returns the interface by which a route leads to an address; "" where that is not known. It is
	// nil for rules of a file.
	Link func(netip.Addr) string
	Choices
}

// Choices are the answers to what rules do not say. An empty one is open.
type Choices struct {
	Listen []string // what services listen on whose rules name no destination: "*", or addresses
	Shares string   // of rules that are not what their writer meant: Meant, Made or Kept
	SNAT   string   // of services where nobody can tell whether a rule with -o is for them, as in a config
	Except []string // the names of services that are left out: their rules stay
}

// Flags writes the choices as they are typed, with a blank before each; "" for none.
func (c Choices) Flags() string {
	flags := ""
	add := func(name string, values ...string) {
		for _, value := range values {
			if value == "*" {
				value = "'*'" // which is no pattern for a shell then
			}
			if value != "" {
				flags += " --" + name + " " + value
			}
		}
	}
	add("listen", c.Listen...)
	add("shares", c.Shares)
	add("snat", c.SNAT)
	add("except", c.Except...)
	return flags
}

// Wrong says which answer is not valid; "" where all are valid, or open.
func (c Choices) Wrong() string {
	for _, one := range c.Listen {
		if addr, err := netip.ParseAddr(one); one != "*" && (err != nil || addr.Zone() != "" || addr.IsUnspecified()) {
			return fmt.Sprintf("--listen %q is not * or an address of this host", one)
		}
	}
	if !slices.Contains([]string{"", Meant, Made, Kept}, c.Shares) {
		return fmt.Sprintf("--shares %q is none of %s, %s, %s", c.Shares, Meant, Made, Kept)
	}
	if !slices.Contains([]string{"", masquerade, keepsSource}, c.SNAT) && len(poolOf(c.SNAT).Pool) != 1 {
		return fmt.Sprintf("--snat %q is not %s, %s or an address of this host", c.SNAT, masquerade, keepsSource)
	}
	return ""
}

// The answers for Shares.
const (
	Meant = "meant"
	Made  = "made"
	Kept  = "kept" // as made, and what no rule takes stays at this host
)

// Refusal is rules that cannot be adopted.
type Refusal struct {
	Why   string
	Rules []*walk.Rule
}

// Result is the config that Adopt made of rules, and what it did not adopt.
type Result struct {
	Text      []byte // of the config; nil where no service can be written
	Config    config.Config
	Tables    rules.Tables // of the config
	Services  []Service    // that are in the config, in its order
	Refused   []Refusal
	Questions []Question
	Left      []Refusal // what stays as it is, and why that is right
	// Differences are what the config's rules do otherwise. Those that a choice has agreed to are notes of
	// their service.
	Differences []Difference
	TakeOut     []Removal
	Names       []string // of all services that the rules make, those that are left out, too

	unadopted []unadoptedCell
	excepted  []*walk.Rule // of services that are left out
	open      []*draft     // that a question is open for
	sets      []*walk.Ruleset
}

// unadoptedCell is packets whose old rules were not adopted.
type unadoptedCell struct {
	family rules.Family
	link   string
	source netip.Addr // not valid is any client that no rule names
	cell   cell
	rules  []*walk.Rule
}

// Whole tells whether everything that balances was adopted.
func (r Result) Whole() bool { return len(r.Refused)+len(r.Questions) == 0 }

// Adopt makes a config of rules. What it cannot adopt is in the result, with the reason.
func Adopt(in Input) Result {
	result := Result{sets: in.Rules}
	var drafts []*draft
	for _, set := range in.Rules {
		f := finder{set: set, in: in, result: &result}
		drafts = append(drafts, f.find()...)
	}
	drafts = mapPorts(drafts)
	name(drafts)
	drafts = result.leaveOut(drafts, in.Except)
	result.write(drafts, in.Choices)
	if result.Text == nil {
		return result
	}
	result.Tables = render.New(result.Config)
	for _, set := range in.Rules {
		result.beside(set)
		result.compare(set, in)
		result.takeOut(set)
	}
	return result
}

// leaveOut takes the services out of some drafts that somebody named. Their rules stay, and the new ones must not
// take their packets.
func (r *Result) leaveOut(drafts []*draft, except []string) []*draft {
	return slices.DeleteFunc(drafts, func(d *draft) bool {
		r.Names = append(r.Names, d.name)
		if !slices.Contains(except, d.name) {
			return false
		}
		r.leave("it is of "+d.name+", which --except leaves out", d.list...)
		r.excepted = append(r.excepted, d.list...)
		source := netip.Addr{}
		if len(d.allow) > 0 {
			source = clientOf(d.allow[0], slices.Concat(d.allow, d.deny))
		}
		for _, c := range d.cells {
			for _, link := range append([]string{""}, d.links...)[min(1, len(d.links)):] {
				r.unadopted = append(r.unadopted, unadoptedCell{d.family, link, source, c, d.list})
			}
		}
		return true
	})
}

// refuse adds a refusal, once for the same rules and reason.
func (r *Result) refuse(why string, list ...*walk.Rule) {
	add(&r.Refused, why, list)
}

// leave adds rules that stay.
func (r *Result) leave(why string, list ...*walk.Rule) { add(&r.Left, why, list) }

// add adds rules to those of the same reason.
func add(all *[]Refusal, why string, list []*walk.Rule) {
	if len(list) == 0 {
		return
	}
	at := slices.IndexFunc(*all, func(one Refusal) bool { return one.Why == why })
	if at < 0 {
		*all = append(*all, Refusal{Why: why})
		at = len(*all) - 1
	}
	for _, rule := range list {
		if rule != nil && !slices.Contains((*all)[at].Rules, rule) {
			(*all)[at].Rules = append((*all)[at].Rules, rule)
		}
	}
}
