package edit

import (
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/config/source"
	"natspread/internal/configfiles"
)

// Compose returns the example with the given listen addresses, backends and
// snat in place of its own; what is empty stays. With listen addresses and no
// snat it masquerades, since the example's snat address belongs to the
// example's listen address. A text that would not parse is not returned: the
// error is the one Parse has for it.
func Compose(listen, backends []string, snat string) ([]byte, error) {
	if snat == "" && len(listen) > 0 {
		snat = config.SNAT{}.String()
	}
	text := string(config.Example())
	if len(listen) > 0 {
		text = replaceValue(text, "listen", source.QuoteList(listen))
	}
	if len(backends) > 0 {
		text = replaceValue(text, "backends", "[\n  "+strings.Join(source.QuoteAll(backends), ",\n  ")+",\n]")
	}
	if snat != "" {
		text = replaceValue(text, "snat", source.Quote(snat))
	}
	if _, err := config.Parse("natspread init", []byte(text)); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// replaceValue puts value in place of what a key of the first service, which has it, has.
func replaceValue(text, key, value string) string {
	d := newDocument(configfiles.Alone("", []byte(text)))
	first := slices.IndexFunc(d.tables, func(t source.Table) bool { return t.Name == "service" })
	return string(d.Replace(source.Replacement{At: d.tables[first].Value(key).At, With: value})[0])
}
