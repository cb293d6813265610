package doctor

import "slices"

// verdict is what becomes of a packet in a chain.
type verdict int

// The fates.
const (
	passes verdict = iota // the chain says nothing of it
	accepted
	dropped
)

// mostDepth bounds how deep chains lead to one another; iptables itself takes no loop.
const mostDepth = 32

// goesOn are the targets after which the next rule is looked at.
var goesOn = []string{
	"", "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "TRACE", "AUDIT", "SET", "CLASSIFY", "DSCP", "ECN",
	"TOS", "TTL", "HL", "CHECKSUM", "CT", "SECMARK", "CONNSECMARK", "IDLETIMER", "LED", "RATEEST",
}

// walk is the way of one packet through a table.
type walk struct {
	chains chains
	packet packet
	by     string // the rule, or the policy, that decided
	unsure bool   // a rule that may match lets such packets through
}

// forward follows the packet through FORWARD. A rule that only may match and drops is
// taken for a ban of somebody, and not for what becomes of the packet.
func (w *walk) forward() verdict {
	forward, exists := w.chains["FORWARD"]
	if !exists {
		return accepted
	}
	if fate := w.through("FORWARD", 0); fate != passes {
		return fate
	}
	w.by = "the policy of FORWARD"
	if forward.policy == "DROP" {
		return dropped
	}
	return accepted
}

// through follows the packet through one chain.
func (w *walk) through(name string, depth int) verdict {
	if depth > mostDepth {
		return passes
	}
	for _, rule := range w.chains[name].rules {
		matched := rule.matches(w.packet)
		if matched == no || slices.Contains(goesOn, rule.target) {
			continue
		}
		fate := w.target(rule, depth)
		switch {
		case matched == perhaps:
			w.unsure = w.unsure || fate == accepted || rule.target == "RETURN"
		case fate != passes:
			return fate
		case rule.target == "RETURN" || slices.Contains(rule.words, "-g"):
			return passes
		}
	}
	return passes
}

// target follows the packet where a rule leads it.
func (w *walk) target(rule rule, depth int) verdict {
	switch rule.target {
	case "ACCEPT":
		w.by = rule.line
		return accepted
	case "DROP", "REJECT", "TARPIT":
		w.by = rule.line
		return dropped
	case "RETURN":
		return passes
	}
	if _, exists := w.chains[rule.target]; exists {
		return w.through(rule.target, depth+1)
	}
	w.unsure = true // NFQUEUE and the like: a program decides
	return passes
}
