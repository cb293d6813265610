package generation

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"time"

	"natspread/internal/configfiles"
	"natspread/internal/rules"
)

// Manifest says where a generation comes from and what belongs to it. It is
// written as JSON.
type Manifest struct {
	Number  int               `json:"generation"`
	Created time.Time         `json:"created"` // UTC, whole seconds
	Command string            `json:"command"` // the verb that made it, as in "rollback 3"
	Version string            `json:"version"` // of natspread
	Variant rules.Variant     `json:"variant"` // of the iptables that it is for; nft or legacy
	Proven  bool              `json:"proven"`  // it was loaded in a scratch namespace, with that variant
	SHA256  map[string]string `json:"sha256"`  // of each other file, in hex
}

// Generation is one complete, verified set of files.
type Generation struct {
	Manifest
	Tables rules.Tables
	Config configfiles.Set // the config that the rules were made from
	// Services is the file that says what the rules balance, as rules.EncodeServices writes
	// it; nil in a generation that natspread 0.1 wrote.
	Services []byte
	// TakenOut is what the load of the generation took out of the nat tables of others, for second
	// thoughts. It is written beside the rules, and never read with them: see Store.TakenOutNotes.
	TakenOut []rules.Taken
}

// RulesSum returns one sha256, in hex, for all rules of the generation: the sum of what
// sha256sum prints of its rules files, in the order of rules.Tables; "" for None. Balancers with
// the same sum hold the same rules, as long as no backend is out.
func (g Generation) RulesSum() string {
	if g.Number == 0 {
		return ""
	}
	var lines []byte
	for _, table := range rules.NoTables().All() {
		if sum, listed := g.SHA256[RulesFile(table)]; listed {
			lines = fmt.Appendf(lines, "%s  %s\n", sum, RulesFile(table))
		}
	}
	return checksum(lines)
}

// None is the generation that stands for nothing applied: no number, no rules.
func None() Generation { return Generation{Tables: rules.NoTables()} }

// checksum returns the sha256 of data in hex.
func checksum(data []byte) string {
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// Outdated says why a new generation is needed for what is wanted, though this one is
// current; "" when this one serves: same rules, same config, proven with the same variant.
func (g Generation) Outdated(wanted Generation) string {
	switch {
	case g.Number == 0:
		return "there is none"
	case g.Variant != wanted.Variant:
		return fmt.Sprintf("generation %d was made for the %s variant of iptables", g.Number, g.Variant)
	case !g.Proven:
		return fmt.Sprintf("generation %d was not proven on this host", g.Number)
	case !g.Tables.Equal(wanted.Tables):
		return fmt.Sprintf("generation %d has other rules", g.Number)
	case !g.MadeFrom(wanted.Config):
		return fmt.Sprintf("the text of the config differs from that of generation %d", g.Number)
	}
	return ""
}

// MadeFrom tells whether a config has, to the byte, the files that a generation was made from.
func (g Generation) MadeFrom(files configfiles.Set) bool { return g.Config.Equal(files) }

// sums returns the checksums of the files, by the names that natspread gives them now.
func (m Manifest) sums() map[string]string {
	sums := maps.Clone(m.SHA256)
	if sum, old := sums[oldConfig]; old {
		delete(sums, oldConfig)
		sums[path.Join(configDir, configfiles.Main)] = sum
	}
	return sums
}
