package rules

import (
	"bytes"
	"strings"
)

// CutOwn takes natspread's chains out of one table as iptables-save printed it, if they are
// declared by these names, in this order, and then hold these rules: the "-A CHAIN …" lines of
// each chain by its name. What is left is what others have there, and the jumps. Counters
// count for nothing. Where anything is different same is false; then ParseSaved tells what it is.
func CutOwn(text []byte, names []string, lines map[string]string) (others []byte, same bool) {
	cutter := ownCutter{undeclared: names, unfilled: names, lines: lines}
	begun, inside := false, false
	for len(text) > 0 {
		if inside {
			if length := cutter.chain(text); length > 0 {
				text = text[length:]
				continue
			}
		}
		length := bytes.IndexByte(text, '\n') + 1
		if length == 0 {
			length = len(text)
		}
		line := string(text[:length])
		text = text[length:]
		own, next := cutter.line(line)
		switch {
		case own && !(next && inside), line[0] == '*' && begun:
			return nil, false
		case own:
			continue
		case line[0] == '*':
			begun, inside = true, true
		case line == "COMMIT\n":
			inside = false
		}
		others = append(others, line...)
	}
	return others, cutter.done()
}

// ownCutter compares natspread's lines of a table, one after the other, with those that should
// be there.
type ownCutter struct {
	undeclared []string          // the chains that are not declared yet
	unfilled   []string          // the chains whose rules have not begun
	missing    string            // the lines of the chain before these that are not there yet
	lines      map[string]string // of all chains
}

// line takes one line, with its end: whether it is one of natspread's, and then whether it is
// the next one.
func (c *ownCutter) line(line string) (own, next bool) {
	if declared, ok := strings.CutPrefix(line, ":"); ok {
		name, rest, _ := strings.Cut(declared, " ")
		if !IsOwn(name) {
			return false, false
		}
		if len(c.undeclared) == 0 || c.undeclared[0] != name {
			return true, false
		}
		c.undeclared = c.undeclared[1:]
		return true, strings.HasPrefix(rest, "- [")
	}
	_, line = cutCounters(line)
	rule, ok := strings.CutPrefix(line, "-A ")
	if name, _, _ := strings.Cut(strings.TrimSuffix(rule, "\n"), " "); !ok || !IsOwn(name) {
		return false, false
	}
	c.fill()
	if len(c.undeclared) > 0 {
		return true, false
	}
	c.missing, next = strings.CutPrefix(c.missing, line)
	return true, next
}

// chain returns the length of the next lines of a text if they are all of the next chain's, and leaves
// them out of what is missing; else 0.
func (c *ownCutter) chain(text []byte) (length int) {
	if text[0] != '-' || len(c.undeclared) > 0 {
		return 0
	}
	c.fill()
	length = len(c.missing)
	if length > len(text) || string(text[:length]) != c.missing {
		return 0
	}
	c.missing = ""
	return length
}

// fill goes on to the next chain that has rules.
func (c *ownCutter) fill() {
	for c.missing == "" && len(c.unfilled) > 0 {
		c.missing, c.unfilled = c.lines[c.unfilled[0]], c.unfilled[1:]
	}
}

// done tells whether nothing is missing.
func (c *ownCutter) done() bool {
	c.fill()
	return c.missing == "" && len(c.unfilled)+len(c.undeclared) == 0
}
