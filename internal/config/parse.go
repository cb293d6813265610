package config

import (
	"fmt"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// inspection is the text of a config under the rules of this package.
type inspection struct{ *source.Source }

// Parse turns the text of a config into a checked Config. When the text is at
// fault the error is Errors, which holds every fault there is; name is what
// they call the file.
func Parse(name string, data []byte) (Config, error) {
	s := inspection{source.New(name, data)}
	if !s.CheckText() {
		return Config{}, s.Err()
	}
	drafts := s.readServices(s.readTables())
	for _, d := range drafts {
		s.check(d)
	}
	s.checkNames(drafts)
	s.checkOverlaps(drafts)
	s.checkAnswers(drafts)
	s.checkBalanced(drafts)
	s.checkRate(drafts)
	if len(drafts) == 0 && !s.Faulty() {
		s.Refuse(source.Span{}, "add a [[service]]; natspread init writes one to start from", "cannot find a service: nothing in the file is one")
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

// ParseGeneration is Parse for the config of a generation. One that another version of
// natspread wrote need not parse; its rules are as good as ever.
func ParseGeneration(number int, data []byte) (Config, error) {
	return Parse(fmt.Sprintf("generation %d's config", number), data)
}

// readServices reads every table as the service it is, or was meant to be, so
// that a slip in a header does not hide the faults below it.
func (s inspection) readServices(tables []source.Table) []*draft {
	for _, p := range tables[0].Pairs {
		s.Refuse(p.At, "write [[service]] on a line above it", "cannot use key %q: it stands before the first [[service]]", source.FirstBytes(p.Name))
	}
	common := s.readShared(tables[1:])
	var drafts []*draft
	for _, t := range tables[1:] {
		if !isShared(t) && s.checkHeader(t) {
			d := s.readService(t, common.defaults)
			s.usePool(d, common.pools)
			drafts = append(drafts, d)
		}
	}
	return drafts
}

// checkHeader files a header that is not [[service]] and reports whether it was
// meant to be.
func (s inspection) checkHeader(t source.Table) bool {
	if t.Name == "service" && t.List {
		return true
	}
	meant := suggest.Word(t.Name, []string{"service"}) != "" && !strings.Contains(t.Name, ".")
	fix := "write [[service]], and below it its keys"
	switch t.Name {
	case "service.backends":
		fix = "write " + exampleOf("backends") + " below [[service]]"
	case "service.check":
		fix = "write it below the keys of a [[service]]"
	}
	switch suggest.Word(t.Name, []string{"pool", defaultsHeader}) {
	case "pool":
		fix = "write [pool.web], with a name of your choice"
	case defaultsHeader:
		fix = "write [" + defaultsHeader + "]"
	}
	if t.Name == "service" {
		s.Refuse(t.At, fix, "cannot use table [service]: there can be several services, so brackets are double")
		return meant
	}
	s.Refuse(t.At, fix, "cannot use table %q: the only tables are [[service]], [service.check], [pool.NAME] and [defaults]", source.FirstBytes(t.Name))
	return meant
}

// Error is one fault of a config and its place.
type Error = source.Error

// Errors is every fault of a config, in the order of the file: what Parse returns.
type Errors = source.Errors
