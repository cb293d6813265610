package rules

import "fmt"

// Taken is a rule of others in a nat table that a load of natspread's takes out, or with no text a chain
// of theirs that is empty then.
type Taken struct {
	Family Family `json:"family"`
	Chain  string `json:"chain"`
	Place  int    `json:"place"` // among the rules of others in its chain, from 1, before anything is taken out
	Text   string `json:"text"`  // what iptables-save prints behind "-A CHAIN "
	// Held is how many rules of the chain have this text before, so that none is put back that was never
	// taken out.
	Held int `json:"held"`
}

// String returns the line as iptables -S has it.
func (t Taken) String() string {
	if t.Text == "" {
		return "-N " + t.Chain
	}
	return "-A " + t.Chain + " " + t.Text
}

// TakenText returns what was taken out of a family's nat table as a text for iptables-restore --noflush;
// nil where that is nothing.
func TakenText(family Family, list []Taken) []byte {
	var chains, lines []byte
	for _, one := range list {
		switch {
		case one.Family != family:
		case one.Text == "":
			chains = appendDeclaration(chains, one.Chain, "-")
		default:
			lines = fmt.Appendf(lines, "%s\n", one)
		}
	}
	if len(chains)+len(lines) == 0 {
		return nil
	}
	text := append([]byte("*"+NAT.String()+"\n"), chains...)
	return append(append(text, lines...), "COMMIT\n"...)
}
