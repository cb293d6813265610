package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Table is natspread's part of one family's table. Its own chains stand in the
// order of iptables-save, bytewise by name; the jumps follow from them: a table with
// chains has all of its kind, a table without has none.
type Table struct {
	Family Family
	Name   TableName
	Chains []Chain
	// CommentedJumps tells that the jumps carry a comment, as those of natspread 0.1 do. A
	// generation of then keeps them, so that they are no drift; no new table has any.
	CommentedJumps bool
}

// String says which table it is, "ipv4", or "ipv4 filter": without a word more it is
// the nat table that is spoken of.
func (t Table) String() string {
	if t.Name == NAT {
		return t.Family.String()
	}
	return t.Family.String() + " " + t.Name.String()
}

// Sort puts the chains into the order of iptables-save.
func (t *Table) Sort() {
	slices.SortFunc(t.Chains, func(a, b Chain) int { return cmp.Compare(a.Name, b.Name) })
}

// Empty tells whether there is nothing of ours in the table.
func (t Table) Empty() bool { return len(t.Chains) == 0 }

// Chain returns the own chain of that name and whether there is one. The chains
// must be in order.
func (t Table) Chain(name string) (Chain, bool) {
	i, found := slices.BinarySearchFunc(t.Chains, name, func(c Chain, name string) int {
		return cmp.Compare(c.Name, name)
	})
	if !found {
		return Chain{}, false
	}
	return t.Chains[i], true
}

// Jumps returns the rules that belong into a built-in chain: one or none, or in FORWARD up to
// three. What natspread did not translate, and no helper expects, never meets its part of the
// filter table. But with takeover all that begins does: the source of what a backend begins in
// place of a client is rewritten behind FORWARD only. The mangle table is met by what begins a
// connection that was translated, and by what answers that.
func (t Table) Jumps(builtIn string) []Rule {
	var jumps []Rule
	for _, chain := range t.Name.EntryChains(builtIn) {
		jump := Rule{Translated: t.Name != NAT, Target: Target{Kind: Jump, Chain: chain}}
		switch chain {
		case ServiceRelated: // not in those of natspread 0.1
			jump.Translated, jump.Expected = false, true
		case ServiceTakeover:
			jump.Translated, jump.BeginsOrSNAT = false, true
		case ServiceMSS:
			jump.Protocol, jump.Handshake = "tcp", true
		}
		if _, found := t.Chain(chain); t.Empty() || !found && (jump.Expected || jump.BeginsOrSNAT) {
			continue
		}
		if t.CommentedJumps {
			jump.Comment = Comment
		}
		jumps = append(jumps, jump)
	}
	return jumps
}

// Text returns the table in the canonical form: byte for byte what iptables-save
// prints after iptables-restore took it on an empty table, less comment lines and
// with counters at zero. The nat table is complete. Of the others it is a part,
// for iptables-restore --noflush: it says nothing of policies, which are not ours.
func (t Table) Text() []byte {
	b := make([]byte, 0, t.Length())
	b = t.appendTop(b)
	for _, chain := range t.Chains {
		b = chain.AppendText(b)
	}
	return append(b, "COMMIT\n"...)
}

// appendTop appends what stands before the rules of own chains.
func (t Table) appendTop(b []byte) []byte {
	b = t.appendHead(b)
	for _, chain := range t.Chains {
		b = appendDeclaration(b, chain.Name, "-")
	}
	return t.appendJumps(b)
}

// appendJumps appends the rules that lead to own chains.
func (t Table) appendJumps(b []byte) []byte {
	for _, name := range t.Name.BuiltIn() {
		b = Chain{Name: name, Rules: t.Jumps(name)}.AppendText(b)
	}
	return b
}

// appendHead appends what stands before the own chains.
func (t Table) appendHead(b []byte) []byte {
	b = append(append(append(b, '*'), t.Name.String()...), '\n')
	if t.Name == NAT {
		for _, name := range t.Name.BuiltIn() {
			b = appendDeclaration(b, name, "ACCEPT")
		}
	}
	return b
}

// Length is about how many bytes the text has, or a few more, for one allocation of it.
func (t Table) Length() int {
	lines := len(t.Chains)
	for _, chain := range t.Chains {
		lines += len(chain.Rules)
	}
	return 256 + 110*lines
}

// appendDeclaration appends the line that makes a chain, or empties it.
func appendDeclaration(b []byte, chain, policy string) []byte {
	b = append(append(b, ':'), chain...)
	b = append(append(b, ' '), policy...)
	return append(b, " [0:0]\n"...)
}

// Parse reads the canonical text of a table that holds nothing but natspread's
// own: known matches and targets, own chains, the jumps. Everything else is an
// error, also a different spelling of the same rule, so whatever passes is text
// that Table.Text wrote or could have written.
func Parse(family Family, kind TableName, text []byte) (Table, error) {
	if table, ok := readCanonical(family, kind, string(text)); ok {
		return table, nil
	}
	return Table{}, refusal(family, kind, text)
}

// errCanonical is a refusal without a reason.
var errCanonical = errors.New("not in the form that natspread writes")

// refusal says why a text is not in the canonical form.
func refusal(family Family, kind TableName, text []byte) error {
	saved, err := ParseSaved(kind, text)
	if err != nil {
		return err
	}
	table, err := saved.Own(family)
	if err != nil {
		return err
	}
	table.CommentedJumps = bytes.Contains(text, []byte(" -m comment --comment "+Comment+" -j "))
	if line, differ := firstDifference(text, table.Text()); differ {
		return fmt.Errorf("line %d is %w", line, errCanonical)
	}
	return errCanonical
}

// firstDifference returns the number of the first line, from 1, in which two
// texts differ.
func firstDifference(a, b []byte) (line int, differ bool) {
	if bytes.Equal(a, b) {
		return 0, false
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n")), true
}

// Changes returns the chains of another table that this one does not hold, or holds with
// other rules, and the names of those that only this one holds. The chains of both must be in
// order.
func (t Table) Changes(to Table) (changed Table, gone []string) {
	changed = Table{Family: t.Family, Name: t.Name, CommentedJumps: t.CommentedJumps}
	before := t.Chains
	for _, chain := range to.Chains {
		for len(before) > 0 && before[0].Name < chain.Name {
			gone = append(gone, before[0].Name)
			before = before[1:]
		}
		held := len(before) > 0 && before[0].Name == chain.Name
		if !held || !before[0].Equal(chain) {
			changed.Chains = append(changed.Chains, chain)
		}
		if held {
			before = before[1:]
		}
	}
	for _, chain := range before {
		gone = append(gone, chain.Name)
	}
	return changed, gone
}

// With returns the chains of a table with some in place of those of the same name, or beside
// them, and without those that are gone: what Changes found. All are in order.
func (t Table) With(changed []Chain, gone []string) []Chain {
	chains := make([]Chain, 0, len(t.Chains)+len(changed))
	for _, chain := range t.Chains {
		for len(changed) > 0 && changed[0].Name < chain.Name {
			chains = append(chains, changed[0])
			changed = changed[1:]
		}
		switch {
		case len(changed) > 0 && changed[0].Name == chain.Name:
			chains = append(chains, changed[0])
			changed = changed[1:]
		case len(gone) > 0 && gone[0] == chain.Name:
			gone = gone[1:]
		default:
			chains = append(chains, chain)
		}
	}
	return append(chains, changed...)
}
