package main

import (
	"net/netip"

	"natspread/internal/rules"
	"natspread/internal/trace"
)

// explainResult is what render --explain prints with --json. Shares are from 0 to 1.
type explainResult struct {
	Family      string         `json:"family"`
	Protocol    string         `json:"protocol"`
	Destination string         `json:"destination"`         // address and port that the packet asks for
	Interface   string         `json:"interface,omitempty"` // by which it comes in; absent: any
	Source      string         `json:"source,omitempty"`    // absent: a client that no rule names
	Service     string         `json:"service,omitempty"`   // that listens for it; absent: none
	Prerouting  chainResult    `json:"prerouting"`
	Output      chainResult    `json:"output"` // the same, made on the balancer itself
	Becomes     []becomeResult `json:"becomes"`
}

// chainResult is the way through a chain.
type chainResult struct {
	Chain string       `json:"chain"`
	Rules int          `json:"rules"` // that it has
	Taken []ruleResult `json:"taken"` // those that take connections, in order
	Left  float64      `json:"left"`  // the share that none takes
}

// ruleResult is a rule that takes connections.
type ruleResult struct {
	Place int          `json:"place"` // in its chain, from 1
	Rule  string       `json:"rule"`
	Share float64      `json:"share"`           // of all connections
	Chain *chainResult `json:"chain,omitempty"` // that it leads to
}

// becomeResult is a backend, or what else becomes of connections.
type becomeResult struct {
	To          string       `json:"to"` // a backend's address and port, refused, untouched
	Prerouting  flowResult   `json:"prerouting"`
	Output      flowResult   `json:"output"`
	Forward     *chainResult `json:"forward,omitempty"`     // the way through FORWARD, where natspread has rules there
	Postrouting *flowResult  `json:"postrouting,omitempty"` // of those that get here; a refused one does not
	Source      string       `json:"source,omitempty"`      // SNAT to an address, MASQUERADE, kept
	Chain       *chainResult `json:"chain,omitempty"`       // the way through POSTROUTING
}

// flowResult is a share of the connections, and the rules that the kernel looks at
// for one of them.
type flowResult struct {
	Share float64 `json:"share"`
	Mean  float64 `json:"mean"`
	Worst int     `json:"worst"`
}

// explainResultOf returns the explanation for programs.
func explainResultOf(asked question, explained trace.Explanation) explainResult {
	packet := asked.packet
	result := explainResult{
		Family: rules.FamilyOf(packet.Destination).String(), Protocol: packet.Protocol,
		Destination: netip.AddrPortFrom(packet.Destination, packet.Port).String(),
		Interface:   packet.InInterface, Service: asked.service.Name,
		Prerouting: chainResultOf(explained.Incoming), Output: chainResultOf(explained.Local),
		Becomes: []becomeResult{},
	}
	if packet.Source.IsValid() {
		result.Source = packet.Source.String()
	}
	for _, outcome := range explained.Outcomes {
		one := becomeResult{To: toText(outcome), Prerouting: flowResultOf(outcome.Incoming), Output: flowResultOf(outcome.Local)}
		if outcome.Forward != nil {
			path := chainResultOf(outcome.Forward)
			one.Forward = &path
		}
		if outcome.After != nil {
			after, chain := flowResultOf(outcome.After.Work()), chainResultOf(outcome.After)
			one.Postrouting, one.Source, one.Chain = &after, sourceText(outcome), &chain
		}
		result.Becomes = append(result.Becomes, one)
	}
	return result
}

// chainResultOf returns a way for programs.
func chainResultOf(path *trace.Path) chainResult {
	result := chainResult{Chain: path.Chain, Rules: path.Rules, Taken: []ruleResult{}, Left: path.Remainder.Part()}
	for _, hop := range path.Hops {
		rule := ruleResult{Place: hop.Place, Rule: string(hop.Rule.AppendText(nil)), Share: hop.Taken.Part()}
		if hop.Into != nil {
			into := chainResultOf(hop.Into)
			rule.Chain = &into
		}
		result.Taken = append(result.Taken, rule)
	}
	return result
}

// flowResultOf returns a flow for programs.
func flowResultOf(flow trace.Flow) flowResult {
	return flowResult{Share: flow.Part(), Mean: flow.Mean, Worst: flow.Worst}
}
