package adopt

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// longName is the longest name of a service that its chains are called by.
const longName = 15

// notName is what no name of a service has.
var notName = regexp.MustCompile(`[^a-z0-9]+`)

// name gives each draft a name: that of a comment that all its rules have, or of the chain that it has for
// itself; else its protocol and port.
func name(drafts []*draft) {
	used := map[string]bool{}
	for _, d := range drafts {
		base := cmp.Or(nameOf(d.comment()), nameOf(d.chain()), d.plainName())
		d.name = base
		for n := 2; used[d.name]; n++ {
			end := fmt.Sprintf("-%d", n)
			d.name = strings.TrimRight(base[:min(len(base), longName-len(end))], "-") + end
		}
		used[d.name] = true
	}
}

// nameOf returns a text as a name of a service; "" where nothing is left of it.
func nameOf(text string) string {
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(text), "-"), "-")
	name = strings.TrimLeft(name, "-0123456789")
	return strings.TrimRight(name[:min(len(name), longName)], "-")
}

// comment returns the comment that all rules of a draft have, "" where they have none or several.
func (d *draft) comment() string {
	for _, rule := range d.list {
		if rule.Comment != d.list[0].Comment {
			return ""
		}
	}
	return d.list[0].Comment
}

// chain returns the chain that a draft's rules are all in, "" where that is a built-in one.
func (d *draft) chain() string {
	chain := d.list[0].Chain
	one := func(r *walk.Rule) bool { return r.Chain == chain }
	if slices.Contains(rules.NAT.BuiltIn(), chain) || slices.ContainsFunc(d.list, func(r *walk.Rule) bool { return !one(r) }) {
		return ""
	}
	return chain
}

// plainName returns the protocol and the first port: tcp-80, udp-5060.
func (d *draft) plainName() string {
	words := slices.Clone(d.protocols)
	if len(words) > 1 {
		words = words[:0]
		words = append(words, "port")
	}
	return strings.Join(append(words, fmt.Sprint(d.cells[0].ports.First)), "-")
}
