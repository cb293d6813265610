package generation

import (
	"fmt"
	"os"
	"path/filepath"

	"natspread/internal/rules"
)

// takenOutFile returns the name of the file with what the load of a generation took out of a family's nat
// table.
func takenOutFile(family rules.Family) string {
	return "taken-out" + filepath.Ext(RulesFile(rules.Table{Family: family}))
}

// TakenOutSince returns the notes of all generations behind one, the newest first.
func (s Store) TakenOutSince(number int, variant rules.Variant) []string {
	numbers, _ := s.Numbers()
	var notes []string
	for _, later := range numbers {
		if later > number {
			notes = append(notes, s.TakenOutNotes(later, variant)...)
		}
	}
	return notes
}

// TakenOut returns the rules of others that the loads of all generations took out, as far as they are kept. None of
// them is loaded from here.
func (s Store) TakenOut() []rules.Taken {
	numbers, _ := s.Numbers()
	var all []rules.Taken
	for _, number := range numbers {
		for _, family := range rules.Families() {
			text, _ := os.ReadFile(s.Path(dir(number), takenOutFile(family)))
			for _, chain := range rules.ParseRuleset(family, "", text).Tables[rules.NAT.String()] {
				for _, rule := range chain.Rules {
					all = append(all, rules.Taken{Family: family, Chain: chain.Name, Text: rule.Text})
				}
			}
		}
	}
	return all
}

// TakenOutNotes says where the rules of others are that the load of a generation took out, and how they come
// back; none where it took out none.
func (s Store) TakenOutNotes(number int, variant rules.Variant) []string {
	var notes []string
	for _, family := range rules.Families() {
		path := s.Path(dir(number), takenOutFile(family))
		if _, err := os.Stat(path); err == nil {
			notes = append(notes, fmt.Sprintf("the %v rules that generation %d replaced are kept; to have them back: %s --noflush < %s",
				family, number, rules.Program(family, variant, "restore"), path))
		}
	}
	return notes
}
