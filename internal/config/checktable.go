package config

import (
	"strings"

	"natspread/internal/suggest"
)

// readTables reads the tables of the text, with each [service.check] as the value of the key check
// of the service that it follows.
func (s inspection) readTables() []table {
	tables := s.source.readTables(exampleOf)
	all := tables[:1:1]
	for _, t := range tables[1:] {
		if len(all) == 1 || !s.isCheck(t) {
			all = append(all, t)
			continue
		}
		service := &all[len(all)-1]
		var own []pair
		for _, p := range t.pairs {
			if s.refuseStray(p) {
				service.pairs = append(service.pairs, p)
			} else {
				own = append(own, p)
			}
		}
		service.pairs = append(service.pairs, pair{"check", t.at, value{kind: isTable, at: t.at, pairs: own}})
		service.broken = service.broken || t.broken
	}
	return all
}

// isCheck tells whether a table is the check of a service, or was meant to be, and files a
// header that is not [service.check].
func (s inspection) isCheck(t table) bool {
	if t.name == "service.check" && !t.list {
		return true
	}
	if suggest.Word(strings.TrimPrefix(t.name, "service."), []string{"check"}) == "" {
		return false
	}
	s.refuse(t.at, "write [service.check]", "cannot use table %q: a service has one check, and it is [service.check]", firstBytes(t.name))
	return true
}

// refuseStray files a key of the service that stands below [service.check], and tells whether
// it is one.
func (s inspection) refuseStray(p pair) bool {
	_, ofCheck := find(checkKeys, p.name)
	_, ofService := find(serviceKeys, p.name)
	if ofCheck || !ofService {
		return false
	}
	s.refuse(p.at, "write it above [service.check]", "cannot use key %q: below [service.check] it is a key of the check", p.name)
	return true
}
