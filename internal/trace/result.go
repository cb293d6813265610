package trace

import (
	"net/netip"

	"natspread/internal/rules"
)

// ExplanationResult is what render --explain prints with --json. Shares are from 0 to 1.
type ExplanationResult struct {
	Family      string          `json:"family"`
	Protocol    string          `json:"protocol"`
	Destination string          `json:"destination"`         // address and port that the packet asks for
	Interface   string          `json:"interface,omitempty"` // by which it comes in; absent: any
	Source      string          `json:"source,omitempty"`    // absent: a client that no rule names
	Service     string          `json:"service,omitempty"`   // that listens for it; absent: none
	Prerouting  ChainResult     `json:"prerouting"`
	Output      ChainResult     `json:"output"` // the same, made on the balancer itself
	Outcomes    []OutcomeResult `json:"outcomes"`
	Slot        *SlotResult     `json:"slot,omitempty"` // of the source, where that alone decides which backend it gets
}

// SlotResult is the slot of a client, and the backend that it always gets.
type SlotResult struct {
	Number  int    `json:"number"` // from 0
	Of      int    `json:"of"`
	Backend string `json:"backend"` // that owns it
	Owned   int    `json:"owned"`   // how many slots that backend owns
}

// ChainResult is the path through a chain.
type ChainResult struct {
	Chain     string      `json:"chain"`
	Rules     int         `json:"rules"`     // that it has
	Hops      []HopResult `json:"hops"`      // the rules that take connections, in order
	Remainder float64     `json:"remainder"` // the share that no rule takes
}

// HopResult is a rule that takes connections.
type HopResult struct {
	Place int          `json:"place"` // in its chain, from 1
	Rule  string       `json:"rule"`
	Share float64      `json:"share"`           // of all connections
	Chain *ChainResult `json:"chain,omitempty"` // that it leads to
}

// OutcomeResult is a backend, or what else happens to connections.
type OutcomeResult struct {
	To          string       `json:"to"` // a backend's address and port, refused, untouched
	Prerouting  FlowResult   `json:"prerouting"`
	Output      FlowResult   `json:"output"`
	Mangle      *ChainResult `json:"mangle,omitempty"`      // the path of TCP through FORWARD of the mangle table, where natspread has rules there
	Forward     *ChainResult `json:"forward,omitempty"`     // the path through FORWARD, where natspread has rules there
	Postrouting *FlowResult  `json:"postrouting,omitempty"` // of those that get here; one that is refused, or stays, does not
	Source      string       `json:"source,omitempty"`      // SNAT to an address, MASQUERADE, kept
	Chain       *ChainResult `json:"chain,omitempty"`       // the path through POSTROUTING
}

// FlowResult is a share of the connections, and the rules that the kernel looks at
// for one of them.
type FlowResult struct {
	Share float64 `json:"share"`
	Mean  float64 `json:"mean"`
	Worst int     `json:"worst"`
}

// Result returns an explanation for programs.
func (q Question) Result(explained Explanation) ExplanationResult {
	packet := q.Packet
	result := ExplanationResult{
		Family: rules.FamilyOf(packet.Destination).String(), Protocol: packet.Protocol,
		Destination: netip.AddrPortFrom(packet.Destination, packet.Port).String(),
		Interface:   packet.InInterface, Service: q.Service,
		Prerouting: chainResultOf(explained.Incoming), Output: chainResultOf(explained.Local),
		Outcomes: []OutcomeResult{},
	}
	if packet.Source.IsValid() {
		result.Source = packet.Source.String()
	}
	if slot := explained.Slot; slot != nil {
		result.Slot = &SlotResult{slot.Number, slot.Of, slot.backend(), slot.Owned}
	}
	for _, outcome := range explained.Outcomes {
		one := OutcomeResult{To: toText(outcome), Prerouting: flowResultOf(outcome.Incoming), Output: flowResultOf(outcome.Local)}
		for _, way := range []struct {
			path *Path
			into **ChainResult
		}{{outcome.Mangle, &one.Mangle}, {outcome.Forward, &one.Forward}} {
			if way.path != nil {
				path := chainResultOf(way.path)
				*way.into = &path
			}
		}
		if outcome.Stays {
			one.Source = sourceText(outcome)
		}
		if outcome.After != nil {
			after, chain := flowResultOf(outcome.After.Work()), chainResultOf(outcome.After)
			one.Postrouting, one.Source, one.Chain = &after, sourceText(outcome), &chain
		}
		result.Outcomes = append(result.Outcomes, one)
	}
	return result
}

// chainResultOf returns a path for programs.
func chainResultOf(path *Path) ChainResult {
	result := ChainResult{Chain: path.Chain, Rules: path.Rules, Hops: []HopResult{}, Remainder: path.Remainder.Part()}
	for _, hop := range path.Hops {
		rule := HopResult{Place: hop.Place, Rule: string(hop.Rule.AppendText(nil)), Share: hop.Taken.Part()}
		if hop.Into != nil {
			into := chainResultOf(hop.Into)
			rule.Chain = &into
		}
		result.Hops = append(result.Hops, rule)
	}
	return result
}

// flowResultOf returns a flow for programs.
func flowResultOf(flow Flow) FlowResult {
	return FlowResult{Share: flow.Part(), Mean: flow.Mean, Worst: flow.Worst}
}
