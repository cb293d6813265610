package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/nat"
)

// nativeChain is a chain of nft(8)'s own that whatever is forwarded goes through.
type nativeChain struct {
	name   string // "inet filter forward"
	drops  bool   // its policy
	passes bool   // a rule lets through what DNAT was done to
}

// nativeChains reads the chains at the forward hook out of what nft list ruleset
// prints, those of a family. The ones that iptables-nft keeps are not its own.
func nativeChains(text []byte, family nat.Family) []nativeChain {
	tables := map[nat.Family][]string{nat.IPv4: {"inet", "ip"}, nat.IPv6: {"inet", "ip6"}}[family]
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
		case strings.Contains(line, "ct status dnat accept") && len(found) > 0 && found[len(found)-1].name == table+" "+name:
			found[len(found)-1].passes = true
		}
	}
	return found
}

// native looks at chains of nft(8)'s own that drop what no rule lets through. What
// their rules let through is not known, but for the one that the line adds.
func (e examination) native() []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, family := range e.families() {
		for _, c := range nativeChains(e.Native, family) {
			if !c.drops || c.passes || seen[c.name] {
				continue
			}
			seen[c.name] = true
			found = append(found, Finding{
				Risk, fmt.Sprintf("cannot tell whether the nftables chain %s, whose policy is drop, lets balanced connections through", c.name),
				"nft insert rule " + c.name + " ct status dnat accept",
			})
		}
	}
	return found
}
