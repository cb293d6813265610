package rules

import (
	"strconv"
	"strings"
)

// Statistic is the match that spreads connections: random with a probability
// in the kernel's own steps, or nth. The zero value is no match.
type Statistic struct {
	// Steps is the probability of mode random in steps of 2^-31, the unit of
	// struct xt_statistic_info; 1 to ProbabilityScale-1.
	Steps uint32
	// Every is the period of mode nth: of so many packets that reach the rule,
	// the first one matches (--packet 0).
	Every uint32
}

// ProbabilityScale is probability 1 in the kernel's steps. No rule carries it: a rule
// that always matches has no statistic match.
const ProbabilityScale = 1 << 31

// probabilityDigits is how many digits libxt_statistic prints behind the point, which tell all
// 2^31 steps apart: a step is 5^11 / 2^20 of their last place.
const (
	probabilityDigits = 11
	stepTimes         = 48828125 // 5^11
	stepShift         = 20
)

// probabilitySteps returns the step that is nearest to a number of digits.
func probabilitySteps(digits uint64) uint64 {
	return (digits<<stepShift + stepTimes/2) / stepTimes
}

// appendProbability appends a number of steps as printf(3) rounds it: from the middle between two
// numbers of digits it goes to the even one.
func appendProbability(b []byte, steps uint32) []byte {
	product := uint64(steps) * stepTimes
	digits, rest := product>>stepShift, product&(1<<stepShift-1)
	if rest > 1<<(stepShift-1) || rest == 1<<(stepShift-1) && digits&1 == 1 {
		digits++
	}
	b = append(b, "0.00000000000"...)
	for place := len(b) - 1; digits > 0; place-- {
		b[place] = byte('0' + digits%10)
		digits /= 10
	}
	return b
}

// appendTo appends the match.
func (s Statistic) appendTo(b []byte) []byte {
	switch {
	case s.Steps != 0:
		b = appendProbability(append(b, "-m statistic --mode random --probability "...), s.Steps)
	case s.Every != 0:
		b = append(b, "-m statistic --mode nth --every "...)
		b = strconv.AppendUint(b, uint64(s.Every), 10)
		b = append(b, " --packet 0"...)
	default:
		return b
	}
	return append(b, ' ')
}

// statistic takes the options of -m statistic.
func (r *ruleReader) statistic() {
	r.word("--mode")
	switch r.next() {
	case "random":
		r.word("--probability")
		fraction, _ := strings.CutPrefix(r.next(), "0.")
		n, err := strconv.ParseUint(fraction, 10, 64)
		steps := probabilitySteps(n)
		r.bad = r.bad || err != nil || len(fraction) != probabilityDigits || steps < 1 || steps >= ProbabilityScale
		if !r.bad {
			r.rule.Statistic.Steps = uint32(steps)
		}
	case "nth":
		r.word("--every")
		r.rule.Statistic.Every = uint32(r.number(32))
		r.bad = r.bad || r.rule.Statistic.Every < 2
		r.word("--packet")
		r.word("0")
	default:
		r.bad = true
	}
}
