package edit

import (
	"strings"

	"natspread/internal/config"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/configfiles"
)

// document is the files of a config that parses, and its tables.
type document struct {
	*source.Source
	tables []source.Table
}

// newDocument takes files that parse.
func newDocument(files configfiles.Set) document {
	s := source.Join(files)
	return document{s, s.ReadTables(func(string) string { return "" })} // it has no syntax error
}

// items returns the values of the backends of each service of the config that the text is. They
// stand in the service's own list, or its pool's, which may hold those of another family, too.
func (d document) items(cfg config.Config) [][]source.Value {
	ofPools := map[string]source.Value{}
	for _, t := range d.tables {
		ofPools[t.Name] = t.Value("backends")
	}
	all := make([][]source.Value, 0, len(cfg.Services))
	for _, t := range d.tables {
		list := t.Value("backends")
		if list.Kind == "" {
			list = ofPools["pool."+t.Value("pool").Text]
		}
		for t.Name == "service" && len(all) < len(cfg.Services) && cfg.Services[len(all)].Written() == t.Value("name").Text {
			all = append(all, ofFamily(itemsOf(list), cfg.Services[len(all)].Is6()))
		}
	}
	return all
}

// itemsOf returns the items of a list, or the one value that stands without brackets.
func itemsOf(list source.Value) []source.Value {
	if list.Kind != source.List {
		return []source.Value{list}
	}
	return list.Items
}

// ofFamily returns those of some backends that are of a family.
func ofFamily(items []source.Value, six bool) []source.Value {
	var own []source.Value
	for _, item := range items {
		address := item.Text
		if item.Kind == source.InlineTable {
			address = source.ValueOf(item.Pairs, "address").Text
		}
		if e, _ := value.SplitEndpoint(address); strings.Contains(e.Host, ":") == six {
			own = append(own, item)
		}
	}
	return own
}
