package packetpath

import (
	"net/netip"

	"natspread/internal/rules"
)

// Rule is a rule, or the policy of a chain, as people know it.
type Rule struct {
	Hook  string // where packets meet it: "PREROUTING of the raw table (nft)", "inet fw pre"
	Place int    // in its chain, from 1; 0 for a policy
	Text  string // as iptables -S or nft prints it
	// Remove is the line that takes it out; for a policy, the one that changes it.
	Remove string
	Native bool // it is of nft's own, and not of iptables

	Variant   rules.Variant // of iptables; "" for a native one
	Table     string
	OfForward bool // packets meet it by the chain FORWARD, or a chain that it leads to
}

// verdict is what a rule does with a packet.
type verdict uint8

// The verdicts.
const (
	goesOn  verdict = iota // the packet meets the next rule
	accepts                // and the packet leaves the chains of this hook
	drops
	returns    // to the chain that led here
	jumps      // to another chain, and back
	goesTo     // another chain, and not back
	translates // the destination is another one now
	hides      // the source is another one now
	asks       // a program, or what nobody here knows, decides
	ours       // natspread's own rules decide
)

// effect is what a rule does to a packet beside its verdict.
type effect uint8

// The effects.
const (
	nothing effect = iota
	untracks
	zones    // puts it into a zone of conntrack
	rewrites // an address or a port in it
)

// rule is one rule, read once for all packets that meet it.
type rule struct {
	is         *Rule
	conditions conditions // all of them must be true
	verdict    verdict
	target     string // the chain that it leads to
	effect     effect
	zone       int // that it puts packets into; -1 where that is not known

	// exact is an address or a port that a packet must have for the rule to match, for an
	// index: only one of its fields is set.
	exact exactly
}

// exactly is what a packet must have.
type exactly struct {
	destination netip.Addr
	port        uint16
	origDst     netip.Addr
	origPort    uint16
}

// chain is one chain.
type chain struct {
	rules  []rule
	policy *Rule // where packets are dropped that no rule decided about; nil where they go on
}

// table is the chains of a table, by name.
type table map[string]*chain
