package config

import (
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// readTables reads the tables of the text, with each [service.check] as the value of the key check
// of the service that it follows.
func (s inspection) readTables() []source.Table {
	tables := s.Source.ReadTables(exampleOf)
	all := tables[:1:1]
	for _, t := range tables[1:] {
		if len(all) == 1 || !s.isCheck(t) {
			all = append(all, t)
			continue
		}
		service := &all[len(all)-1]
		var own []source.Pair
		for _, p := range t.Pairs {
			if s.refuseStray(p) {
				service.Pairs = append(service.Pairs, p)
			} else {
				own = append(own, p)
			}
		}
		service.Pairs = append(service.Pairs, source.Pair{Name: "check", At: t.At, Value: source.Value{Kind: source.InlineTable, At: t.At, Pairs: own}})
		service.Broken = service.Broken || t.Broken
	}
	return all
}

// isCheck tells whether a table is the check of a service, or was meant to be, and files a
// header that is not [service.check].
func (s inspection) isCheck(t source.Table) bool {
	if t.Name == "service.check" && !t.List {
		return true
	}
	if t.Name == "service" {
		return false // as nearly all are: no need to look for what was meant
	}
	name := strings.TrimPrefix(t.Name, "service.")
	if habit, _ := suggest.Known(serviceKeyHabits, name); habit.Instead != "check" && suggest.Word(name, []string{"check"}) == "" {
		return false
	}
	s.Refuse(t.At, "write [service.check]", "cannot use table %q: a service has one check, and it is [service.check]", source.FirstBytes(t.Name))
	return true
}

// refuseStray files a key of the service that stands below [service.check], and tells whether
// it is one.
func (s inspection) refuseStray(p source.Pair) bool {
	isNear := suggest.Word(p.Name, field.Names(checkKeys)) == "" && suggest.Word(p.Name, field.Names(serviceKeys)) != ""
	if hasKey(checkKeys, p.Name) || !hasKey(serviceKeys, p.Name) && !isNear {
		return false
	}
	s.Refuse(p.At, "write it above [service.check]", "cannot use key %q: below [service.check] it is a key of the check", p.Name)
	return true
}
