package doctor

import "slices"

// verdict is what a chain does with a packet.
type verdict int

// The verdicts.
const (
	undecided verdict = iota // the packet goes on in the chain that led here
	accepted
	dropped
)

// mostDepth bounds how many chains lead to one another. iptables takes no loop, so only a
// text that it did not print can have more.
const mostDepth = 32

// nonTerminating are the targets after which the packet meets the next rule.
var nonTerminating = []string{
	"", "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "TRACE", "AUDIT", "SET", "CLASSIFY", "DSCP", "ECN",
	"TOS", "TTL", "HL", "CHECKSUM", "CT", "SECMARK", "CONNSECMARK", "IDLETIMER", "LED", "RATEEST",
}

// walk follows one packet through the chains of a filter table.
type walk struct {
	chains chains
	packet packet
	by     string // the rule, or the policy, that decided
	unsure bool   // a rule that may match lets such packets through
}

// forward follows the packet through FORWARD. A rule that may match and drops is not
// counted: it is most likely somebody's ban of a few addresses.
func (w *walk) forward() verdict {
	forward, exists := w.chains["FORWARD"]
	if !exists {
		return accepted
	}
	if result := w.through("FORWARD", 0); result != undecided {
		return result
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
		return undecided
	}
	for _, rule := range w.chains[name].rules {
		matched := rule.matches(w.packet)
		if matched == no || slices.Contains(nonTerminating, rule.target) {
			continue
		}
		result := w.target(name, rule, depth)
		switch {
		case matched == perhaps:
			w.unsure = w.unsure || result == accepted || rule.target == "RETURN"
		case result != undecided:
			return result
		case rule.target == "RETURN" || slices.Contains(rule.words, "-g"):
			return undecided
		}
	}
	return undecided
}

// target follows the packet to the target of a rule.
func (w *walk) target(chain string, rule rule, depth int) verdict {
	switch rule.target {
	case "ACCEPT":
		w.by = "-A " + chain + " " + rule.text
		return accepted
	case "DROP", "REJECT", "TARPIT":
		w.by = "-A " + chain + " " + rule.text
		return dropped
	case "RETURN":
		return undecided
	}
	if _, exists := w.chains[rule.target]; exists {
		return w.through(rule.target, depth+1)
	}
	w.unsure = true // NFQUEUE and the like: a program decides
	return undecided
}
