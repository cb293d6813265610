package restore

import (
	"fmt"
	"io"
	"os"

	"natspread/internal/rules"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// copiesDir is where netfilter-persistent saves every rule of a host, natspread's too,
// and loads them from: iptables-persistent(8).
const copiesDir = "etc/iptables"

// staleCopies returns a line for each file of netfilter-persistent that holds other
// rules of natspread's than there should be: those of the generation, or those of its overlay if
// they were saved while it has one. It only warns: what cannot be read, or is no table, says
// nothing.
func (h Host) staleCopies(wanted generation.Wanted) []string {
	var lines []string
	standing := wanted.Tables().All()
	for i, table := range wanted.Generation.Tables.All() {
		path := h.Store().Path(copiesDir, generation.RulesFile(rules.Table{Family: table.Family})) // of all tables
		saved, err := readCopy(path, table.Name)
		if err != nil || len(saved.OwnChains()) == 0 && !iptables.HasJump(saved) {
			continue
		}
		differences := iptables.Differences(saved, table)
		if len(differences) == 0 || len(iptables.Differences(saved, standing[i])) == 0 {
			continue
		}
		more := ""
		if n := len(differences) - 1; n > 0 {
			more = fmt.Sprintf(", and %d more", n)
		}
		lines = append(lines, fmt.Sprintf("%s holds stale rules of natspread's, which netfilter-persistent loads (%s%s): netfilter-persistent save",
			path, differences[0], more))
	}
	return lines
}

// readCopy reads a table in a file of iptables-save.
func readCopy(path string, kind rules.TableName) (rules.Saved, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a FIFO would never end
		return rules.Saved{}, fmt.Errorf("cannot read %s: %w", path, os.ErrInvalid)
	}
	file, err := os.Open(path)
	if err != nil {
		return rules.Saved{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, generation.MaxFile))
	if err != nil {
		return rules.Saved{}, err
	}
	return rules.ParseSaved(kind, text)
}
