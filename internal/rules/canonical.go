package rules

import (
	"strings"
	"sync"
	"sync/atomic"
)

// readCanonical reads the canonical text of a table that holds nothing but natspread's own, in one
// go from its start: whatever it takes is as Table.Text writes it. It does not say why it takes
// something not.
func readCanonical(family Family, kind TableName, text string) (table Table, ok bool) {
	table = Table{Family: family, Name: kind}
	rest, ok := strings.CutPrefix(text, string(table.appendHead(nil)))
	if ok {
		table.Chains, rest, ok = cutDeclarations(rest)
	}
	if ok {
		rest, ok = table.cutJumps(rest)
	}
	if !ok {
		return Table{}, false
	}
	lines, counts := make([]string, len(table.Chains)), make([]int, len(table.Chains))
	for i, chain := range table.Chains {
		lines[i], counts[i], rest = cutRules(rest, chain.Name)
	}
	if rest != "COMMIT\n" || !table.readRules(lines, counts) {
		return Table{}, false
	}
	return table, true
}

// cutDeclarations takes the declarations of own chains from the start of a text, in bytewise order.
func cutDeclarations(text string) (chains []Chain, rest string, ok bool) {
	last := ""
	for strings.HasPrefix(text, ":") {
		line, behind, _ := strings.Cut(text[1:], "\n")
		name, whole := strings.CutSuffix(line, " - [0:0]")
		if !whole || !ownChain(name) || name <= last {
			return nil, "", false
		}
		chains, text, last = append(chains, Chain{Name: name}), behind, name
	}
	return chains, text, true
}

// cutJumps takes the table's jumps from the start of a text, and sets whether they carry a comment.
func (t *Table) cutJumps(text string) (rest string, ok bool) {
	for _, commented := range []bool{false, true} {
		t.CommentedJumps = commented
		if rest, ok = strings.CutPrefix(text, string(t.appendJumps(nil))); ok {
			return rest, true
		}
	}
	return "", false
}

// cutRules takes the lines of a chain's rules from the start of a text.
func cutRules(text, chain string) (lines string, count int, rest string) {
	end := 0
	for {
		behind, found := strings.CutPrefix(text[end:], "-A ")
		if found {
			behind, found = strings.CutPrefix(behind, chain)
		}
		length := strings.IndexByte(behind, '\n')
		if !found || length < 0 || behind[0] != ' ' {
			return text[:end], count, text[end:]
		}
		end, count = len(text)-len(behind)+length+1, count+1
	}
}

// Many rules are read in parts at the same time, of at least so many rules.
const (
	mostParts     = 4
	parallelRules = 2000
)

// readRules reads the rules of all chains from their lines.
func (t *Table) readRules(lines []string, counts []int) bool {
	count := 0
	for _, n := range counts {
		count += n
	}
	all := make([]Rule, count) // of all chains: one allocation for thousands
	for i, n := range counts {
		t.Chains[i].Rules, all = all[:n:n], all[n:]
	}
	part := max(parallelRules, count/mostParts+1)
	var readers sync.WaitGroup
	var bad atomic.Bool
	for chains := t.Chains; len(chains) > 0; {
		end := 0
		for n := 0; end < len(chains) && n < part; end++ {
			n += counts[end]
		}
		theirs, theirLines := chains[:end], lines[:end]
		readers.Go(func() {
			if !readChains(theirs, theirLines, t.Name) {
				bad.Store(true)
			}
		})
		chains, lines, counts = chains[end:], lines[end:], counts[end:]
	}
	readers.Wait()
	return !bad.Load()
}

// readChains reads the rules of some chains of a table.
func readChains(chains []Chain, lines []string, name TableName) bool {
	var buffer []byte
	for i, chain := range chains {
		rest := lines[i]
		for k := range chain.Rules {
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			var err error
			rule := &chain.Rules[k]
			if buffer, err = rule.parse(line[len("-A  ")+len(chain.Name):], buffer); err != nil || !rule.belongs(name) {
				return false
			}
		}
	}
	return true
}
