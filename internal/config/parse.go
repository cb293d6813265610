package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/configfiles"
	"natspread/internal/suggest"
)

// inspection is the text of a config under the rules of this package.
type inspection struct{ *source.Source }

// Parse is ParseSet for the text of one file, which errors call name.
func Parse(name string, data []byte) (Config, error) {
	return ParseSet(configfiles.Alone(name, data))
}

// ParseSet turns the files of a config into a checked Config. When a text is at
// fault the error is Errors, which holds every fault there is.
func ParseSet(files configfiles.Set) (Config, error) {
	s := inspection{source.Join(files)}
	if !s.CheckText() {
		return Config{}, s.Err()
	}
	drafts := s.readServices(s.readTables())
	s.checkNames(drafts)
	for _, d := range drafts {
		s.check(d)
	}
	s.checkOverlaps(drafts)
	s.checkAnswers(drafts)
	s.checkBalanced(drafts)
	s.checkRate(drafts)
	if len(drafts) == 0 && !s.Faulty() {
		why := "nothing in the file is one"
		if len(files) > 1 {
			why = "nothing in the files is one"
		}
		s.Refuse(source.Span{}, "add a [[service]] with name, listen and backends; natspread init --config - prints one", "cannot find a service: %s", why)
	}
	if err := s.Err(); err != nil {
		return Config{}, err
	}
	c := Config{Services: make([]Service, len(drafts))}
	for i, d := range drafts {
		c.Services[i] = d.service()
	}
	return c, nil
}

// ParseGeneration is ParseSet for the config of a generation. One that another version of
// natspread wrote need not parse; its rules are as good as ever.
func ParseGeneration(number int, files configfiles.Set) (Config, error) {
	named := slices.Clone(files)
	if len(named) == 0 { // nothing was applied
		named = configfiles.Alone("", nil)
	}
	for i, f := range named {
		if named[i].Path = fmt.Sprintf("generation %d's %s", number, f.Name); f.Name == configfiles.Main {
			named[i].Path = fmt.Sprintf("generation %d's config", number)
		}
	}
	return ParseSet(named)
}

// readServices reads every table as the service it is, or was meant to be, so
// that a slip in a header does not hide the faults below it.
func (s inspection) readServices(tables []source.Table) []*draft {
	common := s.readShared(tables)
	var drafts []*draft
	for _, t := range tables {
		if t.Begins {
			s.refuseBefore(t.Pairs)
		} else if !isShared(t) && s.checkHeader(t) {
			d := s.readService(t, common.defaults)
			s.usePool(d, common.pools)
			drafts = append(drafts, d.halves()...)
		}
	}
	return drafts
}

// refuseBefore files the keys before the first header of a file.
func (s inspection) refuseBefore(pairs []source.Pair) {
	for _, p := range pairs {
		s.Refuse(p.At, s.strayFix(pairs, p), "cannot use key %q: it stands before the first [[service]]", source.FirstBytes(p.Name))
	}
}

// strayFix is the fix for a key before the first service: the header that is missing above it,
// unless no service has such a key.
func (s inspection) strayFix(pairs []source.Pair, p source.Pair) string {
	if hasKey(serviceKeys, strings.ToLower(p.Name)) {
		return "write [[service]] on a line above it"
	}
	key, fix := meantKeys.OfService(s.Source, pairs, p)
	switch {
	case key != "" || suggest.Word(p.Name, field.Names(serviceKeys)) != "":
		return "write [[service]] on a line above it"
	case fix != "":
		return fix
	}
	return "take it out"
}

// headerHabits are the tables that files of other programs have, and ours for the same.
var headerHabits = []suggest.Habit{
	{Typed: "default global globals settings config main common template", Instead: defaultsHeader},
	{Typed: "pool pools upstream upstreams backend backends server servers target targets cluster group", Instead: poolPrefix},
	{Typed: "include includes import", Instead: habits.Include},
}

// checkHeader files a header that is not [[service]] and reports whether it was
// meant to be: it is nearly that, or what stands below it is what a service has.
func (s inspection) checkHeader(t source.Table) bool {
	if t.Name == "service" && t.List {
		return true
	}
	if t.Name == "service.check" {
		s.Refuse(t.At, "write it below the keys of a [[service]]", "cannot use table %q: no service stands above it", t.Name)
		return false
	}
	first, _, dotted := strings.Cut(strings.ToLower(t.Name), ".")
	habit, other := suggest.Known(headerHabits, first)
	listens, backs := t.Value("listen").Kind != "", t.Value("backends").Kind != ""
	meant := !dotted && suggest.Word(t.Name, []string{"service"}) != "" || listens || backs && !other
	fix := s.headerFix(t, habit.Instead)
	if meant {
		fix = "write [[service]]"
		if _, name, dotted := strings.Cut(t.Name, "."); dotted && t.Value("name").Text == "" {
			fix += " and name = " + source.Quote(value.LikelyName(name))
		}
	}
	if t.Name == "service" {
		s.Refuse(t.At, fix, "cannot use table [service]: there can be several services, so brackets are double")
		return meant
	}
	s.Refuse(t.At, fix, "cannot use table %q: the only tables are [[service]], [service.check], [pool.NAME] and [defaults]", source.FirstBytes(t.Name))
	return meant
}

// headerFix is the fix for a header that was not meant to be a service: ours for the same, where
// instead names it.
func (s inspection) headerFix(t source.Table, instead string) string {
	_, name, _ := strings.Cut(t.Name, ".")
	switch {
	case strings.HasPrefix(t.Name, "service.backend"):
		return "natspread can't read backends from tables of their own: write backends = [{ " + s.inline(t.Pairs) + " }] below [[service]]"
	case instead == defaultsHeader, suggest.Word(t.Name, []string{defaultsHeader}) != "":
		return "write [" + defaultsHeader + "]"
	case instead == poolPrefix:
		return "write [" + poolPrefix + value.LikelyName(cmp.Or(name, t.Value("name").Text)) + "]"
	case instead != "":
		return instead
	}
	return "natspread can't: take it out"
}

// inline writes pairs as they stand in braces.
func (s inspection) inline(pairs []source.Pair) string {
	var all []string
	for _, p := range pairs {
		all = append(all, s.Typed(source.Span{Start: p.At.Start, End: p.Value.At.End}))
	}
	return strings.Join(all, ", ")
}

// Error is one fault of a config and its place.
type Error = source.Error

// Errors is every fault of a config, in the order of the files: what Parse returns.
type Errors = source.Errors
