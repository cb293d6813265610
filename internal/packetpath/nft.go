package packetpath

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// object is one of the objects that nft -j lists: just one field is set. See libnftables-json(5).
type object struct {
	Chain *nftChain
	Rule  *nftRule
	Set   *nftSet
	Map   *nftSet
}

// nftChain is a chain; without a hook it is one that others lead to.
type nftChain struct {
	Name, Type, Hook, Policy, Dev string
	Prio                          int
}

// nftRule is a rule.
type nftRule struct {
	Chain  string
	Handle int
	Expr   []statement
}

// nftSet is a named set, or a map.
type nftSet struct {
	Name string
	Elem []json.RawMessage
}

// statement is an expression of a rule by its name.
type statement map[string]json.RawMessage

// nftReader reads one table.
type nftReader struct {
	rules.NativeTable
	packets rules.Family // a table of inet has rules for both
	table   table
	sets    map[string][]json.RawMessage
	texts   map[int]string
}

// ofNative returns the hooks of a table of nft's own for packets of the family. What
// iptables shows of it is not read twice.
func (read Read) ofNative(native rules.NativeTable) []hook {
	if !slices.Contains([]string{read.Family.NFTWord(), "inet", "netdev"}, native.Family) || read.sleeps(native.Family, native.Name) {
		return nil
	}
	var listed struct{ Nftables []object }
	if json.Unmarshal(native.JSON, &listed) != nil {
		return nil
	}
	r := nftReader{NativeTable: native, packets: read.Family, table: table{}, sets: map[string][]json.RawMessage{}, texts: ruleTexts(native.Text)}
	r.readAll(listed.Nftables)
	var hooks []hook
	for _, one := range listed.Nftables {
		if c := one.Chain; c != nil && c.Hook != "" && !read.shown(native, c.Name) {
			hooks = append(hooks, hook{
				at: Point(c.Hook), priority: c.Prio, rank: read.rank(native.Family, native.Name, c.Name),
				nat: c.Type == "nat", device: c.Dev, table: r.table, chain: c.Name,
			})
		}
	}
	return hooks
}

// shown tells whether iptables showed a chain.
func (read Read) shown(native rules.NativeTable, name string) bool {
	isBuiltIn := slices.ContainsFunc(builtIn, func(b builtInChain) bool { return b.table == native.Name && b.chain == name })
	return isBuiltIn && native.Family == read.Family.NFTWord() && slices.ContainsFunc(read.Rulesets, func(r rules.Ruleset) bool {
		return r.Family == read.Family && r.Variant == rules.NFT && len(r.Tables[native.Name]) > 0
	})
}

// ruleTexts returns the rules that nft -a lists, by their handles.
func ruleTexts(listed []byte) map[int]string {
	texts := map[int]string{}
	for line := range strings.Lines(string(listed)) {
		text, handle, found := strings.Cut(strings.TrimSpace(line), " # handle ")
		if number, err := strconv.Atoi(handle); found && err == nil && !strings.HasSuffix(text, "{") {
			texts[number] = text
		}
	}
	return texts
}

// readAll reads the chains, and then the rules.
func (r *nftReader) readAll(all []object) {
	for _, one := range all {
		switch {
		case one.Chain != nil:
			c := &chain{}
			if one.Chain.Policy == "drop" {
				is := r.at(one.Chain.Name)
				is.Text, is.Remove = "the policy of "+one.Chain.Name, fmt.Sprintf("nft 'chain %s %s %s { policy accept; }'", r.Family, r.Name, one.Chain.Name)
				c.policy = &is
			}
			r.table[one.Chain.Name] = c
		case one.Set != nil:
			r.sets["@"+one.Set.Name] = one.Set.Elem
		case one.Map != nil:
			r.sets["@"+one.Map.Name] = one.Map.Elem
		}
	}
	places := map[string]int{}
	for _, one := range all {
		if one.Rule == nil || r.table[one.Rule.Chain] == nil {
			continue
		}
		places[one.Rule.Chain]++
		is := r.at(one.Rule.Chain)
		is.Place = places[one.Rule.Chain]
		is.Text = r.texts[one.Rule.Handle]
		is.Remove = fmt.Sprintf("nft delete rule %s %s %s handle %d", r.Family, r.Name, one.Rule.Chain, one.Rule.Handle)
		c := r.table[one.Rule.Chain]
		for _, read := range r.rules(one.Rule.Expr) {
			read.is = &is
			c.rules = append(c.rules, read)
		}
	}
}

// at returns a rule of a chain that has no words yet.
func (r *nftReader) at(chain string) Rule {
	return Rule{Hook: "the nftables chain " + r.Family + " " + r.Name + " " + chain, Native: true, Table: r.Family + " " + r.Name}
}

// rules reads one rule: more than one where a map of verdicts is in it, one for each element.
func (r *nftReader) rules(statements []statement) []rule {
	read := []rule{{}}
	for _, s := range statements {
		for name, body := range s {
			if name == "vmap" {
				return r.split(read, body)
			}
			for i := range read {
				r.state(&read[i], name, body)
			}
		}
	}
	return read
}

// passingStatements do nothing to the way of a packet.
var passingStatements = []string{"counter", "log", "last", "ct helper", "ct timeout", "ct expectation", "flow", "dup", "secmark", "comment"}

// state reads one statement into a rule.
func (r *nftReader) state(to *rule, name string, body json.RawMessage) {
	switch name {
	case "match":
		to.conditions = append(to.conditions, r.match(body)...)
	case "limit", "quota", "ct count", "set", "map", "meter", "connlimit":
		to.conditions = append(to.conditions, always(some))
	case "accept":
		to.verdict = accepts
	case "drop", "reject":
		to.verdict = drops
	case "return":
		to.verdict = returns
	case "jump", "goto":
		r.lead(to, name, body)
	case "dnat", "redirect", "snat", "masquerade":
		r.translate(to, name, body)
	case "notrack":
		to.effect = untracks
	case "mangle":
		r.mangle(to, body)
	default:
		if !slices.Contains(passingStatements, name) {
			to.verdict = asks
		}
	}
}

// lead reads a jump.
func (r *nftReader) lead(to *rule, name string, body json.RawMessage) {
	var where struct{ Target string }
	_ = json.Unmarshal(body, &where)
	to.target, to.verdict = where.Target, jumps
	if name == "goto" {
		to.verdict = goesTo
	}
}

// translate reads what translates. Where the address comes out of a map, a packet must be in
// it; a family that is named must be that of the packet.
func (r *nftReader) translate(to *rule, name string, body json.RawMessage) {
	to.verdict = translates
	if name == "snat" || name == "masquerade" {
		to.verdict = hides
	}
	var with struct {
		Family string
		Addr   struct {
			Map *struct {
				Key  json.RawMessage
				Data json.RawMessage
			}
		}
	}
	_ = json.Unmarshal(body, &with) // an address that is no map does not fit, and is not needed
	if with.Family != "" && with.Family != r.packets.NFTWord() {
		to.conditions = append(to.conditions, always(no))
	}
	if m := with.Addr.Map; m != nil {
		to.conditions = append(to.conditions, r.compare(m.Key, r.keys(m.Data))...)
	}
}

// mangle reads what changes a packet, or what is known of it.
func (r *nftReader) mangle(to *rule, body json.RawMessage) {
	var change struct {
		Key struct {
			Ct      *struct{ Key string }
			Payload *struct{ Field string }
		}
		Value json.RawMessage
	}
	_ = json.Unmarshal(body, &change) // what does not fit is changed by something else
	switch {
	case change.Key.Ct != nil && change.Key.Ct.Key == "zone":
		to.effect, to.zone = zones, -1
		if zone, err := strconv.Atoi(string(change.Value)); err == nil {
			to.zone = zone
		}
	case change.Key.Payload != nil && slices.Contains([]string{"saddr", "daddr", "sport", "dport"}, change.Key.Payload.Field):
		to.effect = rewrites
	}
}

// split reads a map of verdicts: each element becomes a rule that leads where it says.
func (r *nftReader) split(before []rule, body json.RawMessage) []rule {
	var vmap struct{ Key, Data json.RawMessage }
	if json.Unmarshal(body, &vmap) != nil {
		return before
	}
	var all, rest []rule
	for _, element := range r.elements(vmap.Data) {
		var pair [2]json.RawMessage
		var act statement
		if json.Unmarshal(element, &pair) != nil || json.Unmarshal(pair[1], &act) != nil {
			continue
		}
		for _, begun := range before {
			one := begun
			one.conditions = slices.Clone(begun.conditions)
			for name, body := range act {
				r.state(&one, name, body)
			}
			if string(pair[0]) == `"*"` {
				rest = append(rest, one)
				continue
			}
			one.conditions = append(one.conditions, r.compare(vmap.Key, []json.RawMessage{pair[0]})...)
			all = append(all, one)
		}
	}
	return append(all, rest...)
}

// elements returns those of a set in the rule, or of a named one.
func (r *nftReader) elements(data json.RawMessage) []json.RawMessage {
	var name string
	if json.Unmarshal(data, &name) == nil {
		return r.sets[name]
	}
	var anonymous struct{ Set []json.RawMessage }
	_ = json.Unmarshal(data, &anonymous) // what is no set has no elements
	return anonymous.Set
}

// keys returns the keys of a map.
func (r *nftReader) keys(data json.RawMessage) []json.RawMessage {
	var keys []json.RawMessage
	for _, element := range r.elements(data) {
		var pair [2]json.RawMessage
		if json.Unmarshal(element, &pair) == nil {
			keys = append(keys, pair[0])
		}
	}
	return keys
}
