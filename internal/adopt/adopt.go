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
	"strings"

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

// Question is a choice that is open.
type Question struct {
	Flag    string   `json:"flag"` // that answers it: listen, shares, snat
	Service string   `json:"service"`
	Text    string   `json:"question"`
	Answers []string `json:"answers"`
}

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

	unadopted []unadoptedCell
}

// unadoptedCell is packets whose old rules were not adopted.
type unadoptedCell struct {
	family rules.Family
	link   string
	cell   cell
	rules  []*walk.Rule
}

// Whole tells whether everything that balances was adopted.
func (r Result) Whole() bool { return len(r.Refused)+len(r.Questions) == 0 }

// Adopt makes a config of rules. What it cannot adopt is in the result, with the reason.
func Adopt(in Input) Result {
	var result Result
	var drafts []*draft
	for _, set := range in.Rules {
		f := finder{set: set, in: in, result: &result}
		drafts = append(drafts, f.find()...)
	}
	drafts = mapPorts(drafts)
	name(drafts)
	result.write(drafts)
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

// owner returns whose chain it is, by its name; "" for chains that people make.
func owner(chain string) string {
	for _, one := range []struct{ prefix, name string }{
		{"DOCKER", "Docker"}, {"LIBVIRT_", "libvirt"}, {"KUBE-", "Kubernetes"}, {"CNI-", "CNI"}, {"NETAVARK", "Podman"},
		{"PRE_", "firewalld"}, {"POST_", "firewalld"}, {"PREROUTING_", "firewalld"}, {"POSTROUTING_", "firewalld"}, {"OUTPUT_direct", "firewalld"},
		{"cali-", "Calico"}, {"ISTIO_", "Istio"}, {"MINIUPNPD", "miniupnpd"}, {"ts-", "Tailscale"}, {"f2b-", "fail2ban"},
	} {
		if strings.HasPrefix(chain, one.prefix) {
			return one.name
		}
	}
	return ""
}
