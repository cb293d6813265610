package edit

import (
	"cmp"
	"slices"

	"natspread/internal/config/source"
)

// document is the text of a config that parses, and its tables.
type document struct {
	*source.Source
	tables []source.Table
}

// newDocument takes a text that parses.
func newDocument(name string, text []byte) document {
	s := source.New(name, text)
	return document{s, s.ReadTables(func(string) string { return "" })} // it has no syntax error
}

// lists returns the value of backends for each service of the config: its own, or its pool's.
func (d document) lists() []source.Value {
	ofPools := map[string]source.Value{}
	var services []source.Table
	for _, t := range d.tables {
		if t.Name == "service" {
			services = append(services, t)
		} else {
			ofPools[t.Name] = t.Value("backends")
		}
	}
	lists := make([]source.Value, len(services))
	for i, t := range services {
		if lists[i] = t.Value("backends"); lists[i].Kind == "" {
			lists[i] = ofPools["pool."+t.Value("pool").Text]
		}
	}
	return lists
}

// replacement is another text in place of a span.
type replacement struct {
	at   source.Span
	with string
}

// replace returns the text of the document with replacements that do not overlap.
func (d document) replace(all ...replacement) []byte {
	slices.SortFunc(all, func(a, b replacement) int { return cmp.Compare(a.at.Start, b.at.Start) })
	var text []byte
	from := 0
	for _, r := range all {
		text = append(append(text, d.Text[from:r.at.Start]...), r.with...)
		from = r.at.End
	}
	return append(text, d.Text[from:]...)
}
