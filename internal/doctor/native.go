package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// nativeChain is a chain of nftables, not of iptables-nft, that every forwarded packet
// goes through.
type nativeChain struct {
	name   string // "inet filter forward"
	drops  bool   // its policy is drop
	passes bool   // a rule lets through what DNAT was done to
	may    bool   // a rule may let new connections through
}

// nativeChains reads the chains of a family at the forward hook from what nft list ruleset
// prints, without those of iptables-nft.
func nativeChains(text []byte, family rules.Family) []nativeChain {
	tables := map[rules.Family][]string{rules.IPv4: {"inet", "ip"}, rules.IPv6: {"inet", "ip6"}}[family]
	var found []nativeChain
	var table, name string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[0] == "table":
			table = words[1] + " " + words[2]
		case len(words) == 3 && words[0] == "chain":
			name = words[1]
		case strings.Contains(line, "type filter hook forward "):
			of, _, _ := strings.Cut(table, " ")
			if slices.Contains(tables, of) && (name != "FORWARD" || of == "inet") {
				found = append(found, nativeChain{name: table + " " + name, drops: strings.Contains(line, "policy drop;")})
			}
		case len(found) > 0 && found[len(found)-1].name == table+" "+name:
			last := &found[len(found)-1]
			last.passes = last.passes || strings.Contains(line, "ct status dnat accept")
			last.may = last.may || mayLetIn(words)
		}
	}
	return found
}

// mayLetIn tells whether a rule of nftables, in words, may let a new connection through: it
// accepts, or leads to another chain or a program, and not only connections in a state that
// new ones do not have.
func mayLetIn(words []string) bool {
	leads := slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains([]string{"accept", "jump", "goto", "queue", "vmap"}, strings.TrimRight(word, ","))
	})
	if !leads || len(words) < 2 || words[0] != "ct" || words[1] != "state" {
		return leads
	}
	for _, word := range words[2:] {
		for _, state := range strings.Split(word, ",") {
			switch state {
			case "", "{", "}", ":", "vmap", "established", "related", "invalid", "accept", "drop":
			case "counter", "comment":
				return false // no more conditions follow these
			default:
				return true
			}
		}
	}
	return false
}

// native looks at chains of nftables whose policy is drop. No rule of iptables can let
// through what they drop. What their own rules let through is known in two cases only:
// there is the rule that the fix adds, or no rule lets any new connection through.
func (e examination) native() []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, family := range e.families() {
		for _, c := range nativeChains(e.Native, family) {
			if !c.drops || c.passes || seen[c.name] || !e.forwards(family) {
				continue
			}
			seen[c.name] = true
			found = append(found, c.finding())
		}
	}
	return found
}

// finding is the finding of a chain whose policy is drop.
func (c nativeChain) finding() Finding {
	found := Finding{
		Broken, fmt.Sprintf("the nftables chain %s drops every balanced connection, also with forward = \"accept\": its policy is drop, and no rule accepts", c.name),
		"nft insert rule " + c.name + " ct status dnat accept # and for good in the file that makes the chain",
	}
	if c.may {
		found.Severity = Risk
		found.What = fmt.Sprintf("cannot tell whether the nftables chain %s, whose policy is drop, lets balanced connections through; forward = \"accept\" does not change that", c.name)
	}
	return found
}

// forwards tells whether the host forwards packets to a backend of a family. To a backend
// that is the host itself it does not.
func (e examination) forwards(family rules.Family) bool {
	return slices.ContainsFunc(e.Services, func(service config.Service) bool { return familyOf(service) == family && len(e.packets(service)) > 0 })
}
