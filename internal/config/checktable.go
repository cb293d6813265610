package config

import (
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// readTables reads the tables of the text, with each [service.check] and [pool.NAME.check] as the
// value of the key check of what it belongs to, which is above it in the same file.
func (s inspection) readTables() []source.Table {
	var all []source.Table
	owners := map[string]int{} // where what a check may belong to stands in all, by its header
	for _, t := range s.Source.ReadTables(exampleOf) {
		if t.Begins {
			clear(owners)
			all = append(all, t)
			continue
		}
		_, some := owners["service"]
		at, belongs := owners[s.ownerOf(t, some)]
		if !belongs {
			owner := "service" // or what was meant to be one
			if isShared(t) {
				owner = t.Name
			}
			owners[owner] = len(all)
			all = append(all, t)
			continue
		}
		owner := &all[at]
		var own []source.Pair
		for _, p := range t.Pairs {
			if s.refuseStray(p, owner.Name) {
				owner.Pairs = append(owner.Pairs, p)
			} else {
				own = append(own, p)
			}
		}
		owner.Pairs = append(owner.Pairs, source.Pair{Name: "check", At: t.At, Value: source.Value{Kind: source.InlineTable, At: t.At, Pairs: own}})
		owner.Broken = owner.Broken || t.Broken
	}
	return all
}

// ownerOf returns the header of the table whose check another one is, or was meant to be, and ""
// for one that is no check. It files a header that is not [service.check] below a service.
func (s inspection) ownerOf(t source.Table, below bool) string {
	if owner, found := strings.CutSuffix(t.Name, ".check"); found && !t.List && (owner == "service" || strings.HasPrefix(owner, poolPrefix)) {
		return owner
	}
	if t.Name == "service" || isShared(t) || !below {
		return "" // as nearly all are: no need to look for what was meant
	}
	name := strings.TrimPrefix(t.Name, "service.")
	if habit, _ := suggest.Known(habits.ServiceKeys, name); habit.Instead != "check" && suggest.Word(name, []string{"check"}) == "" {
		return ""
	}
	s.Refuse(t.At, "write [service.check]", "cannot use table %q: a service has one check, and it is [service.check]", source.FirstBytes(t.Name))
	return "service"
}

// refuseStray files a key of the service, or of the pool, that stands below its check, or one that
// was meant to be such a key, and tells whether it is one.
func (s inspection) refuseStray(p source.Pair, owner string) bool {
	keys, header := serviceKeys, "[service.check]"
	if strings.HasPrefix(owner, poolPrefix) {
		keys, header = poolKeys, "["+owner+".check]"
	}
	isNear := suggest.Word(p.Name, field.Names(checkKeys)) == "" && suggest.Word(p.Name, field.Names(keys)) != ""
	if hasKey(checkKeys, p.Name) || !hasKey(keys, p.Name) && !isNear {
		return false
	}
	s.Refuse(p.At, "write it above "+header, "cannot use key %q: below %s it is a key of the check", p.Name, header)
	return true
}
