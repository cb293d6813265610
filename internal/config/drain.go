package config

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/suggest"
)

// Drained returns the text of a config in which one backend of one service has
// weight 0, and all else is as it was, to the byte: comments, layout, order. The
// backend is named as the file does, or by its address alone where that is enough;
// it is returned too. A text that does not parse is refused with the error of Parse.
func Drained(name string, text []byte, service, backend string) ([]byte, Backend, error) {
	before, err := Parse(name, text)
	if err != nil {
		return nil, Backend{}, err
	}
	i, err := findService(before, service)
	if err != nil {
		return nil, Backend{}, err
	}
	j, err := findBackend(before.Services[i], backend)
	if err != nil {
		return nil, Backend{}, err
	}
	found := &before.Services[i].Backends[j]
	if found.drained() {
		return text, *found, nil
	}
	found.Weight = 0
	drained := newSource(name, text).drain(i, j)
	// What was written is not believed but read: nothing else may have changed.
	if after, err := Parse(name, drained); err != nil || !before.Equivalent(after) {
		return nil, Backend{}, fmt.Errorf("cannot edit %s: write { address = %q, weight = 0 } for this backend by hand", name, found)
	}
	return drained, *found, nil
}

// findService returns the place of the service of that name.
func findService(cfg Config, name string) (int, error) {
	names := make([]string, len(cfg.Services))
	for i, service := range cfg.Services {
		if names[i] = service.Name; service.Name == name {
			return i, nil
		}
	}
	if meant := suggest.Word(name, names); meant != "" {
		return 0, fmt.Errorf("there is no service %q: did you mean %s?", name, meant)
	}
	return 0, fmt.Errorf("there is no service %q, but %s", name, firstBytes(strings.Join(names, ", ")))
}

// findBackend returns the place of the backend that is meant.
func findBackend(service Service, text string) (int, error) {
	var all []string
	for _, b := range service.Backends {
		all = append(all, b.String())
	}
	meant, why := parseBackend(text)
	if why != nil {
		return 0, fmt.Errorf("cannot take %q for a backend: %s; service %s has %s", text, why.cause, service.Name, firstBytes(strings.Join(all, ", ")))
	}
	is := func(b Backend) bool { return b.Addr == meant.Addr && b.Port == meant.Port }
	at := slices.IndexFunc(service.Backends, is)
	if at < 0 && meant.Port == 0 { // its address alone
		is = func(b Backend) bool { return b.Addr == meant.Addr }
		at = slices.IndexFunc(service.Backends, is)
		if at >= 0 && slices.ContainsFunc(service.Backends[at+1:], is) {
			return 0, fmt.Errorf("service %s has more than one backend %s: name its port too", service.Name, text)
		}
	}
	if at < 0 {
		return 0, fmt.Errorf("service %s has no backend %s, but %s", service.Name, text, firstBytes(strings.Join(all, ", ")))
	}
	return at, nil
}

// drain writes weight 0 for a backend of a service, both by their places in a text
// that parses.
func (s *source) drain(service, backend int) []byte {
	item := s.readTables()[1+service].value("backends").items[backend]
	if item.kind == isString {
		return s.replace(item.at, "{ address = "+s.text[item.at.start:item.at.end]+", weight = 0 }")
	}
	for _, p := range item.pairs {
		if p.name == "weight" {
			return s.replace(p.value.at, "0")
		}
	}
	end := item.pairs[len(item.pairs)-1].value.at.end
	return s.replace(span{end, end}, ", weight = 0")
}

// value returns the value of a key that the table has.
func (t table) value(key string) value {
	for _, p := range t.pairs {
		if p.name == key {
			return p.value
		}
	}
	return value{}
}

// replace returns the text with another one in place of a span.
func (s *source) replace(at span, with string) []byte {
	return []byte(s.text[:at.start] + with + s.text[at.end:])
}
