package edit

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/config/source"
	"natspread/internal/suggest"
)

// BackendPlace is where a backend stands in a Config: in which service, and where there.
type BackendPlace struct{ Service, Backend int }

// FindBackends returns the places of the backend that is meant: in one service, or without
// a name in all that have it.
func FindBackends(cfg config.Config, service, backend string) ([]BackendPlace, error) {
	if service != "" {
		i, err := findService(cfg, service)
		if err != nil {
			return nil, err
		}
		if meant, why := config.ParseBackend(backend); why == nil && meant.Addr.Is6() && !cfg.Services[i].Is6() {
			is6 := func(s config.Service) bool { return s.Is6() && s.Written() == service }
			if six := slices.IndexFunc(cfg.Services, is6); six >= 0 {
				i = six
			}
		}
		j, err := findBackend(cfg.Services[i], backend)
		return []BackendPlace{{i, j}}, err
	}
	meant, why := config.ParseBackend(backend)
	if why != nil {
		return nil, fmt.Errorf("cannot take %q for a backend: %s", backend, why.Cause)
	}
	var places []BackendPlace
	for i, s := range cfg.Services {
		for j, b := range s.Backends {
			if b.Addr == meant.Addr && (meant.Port == 0 || b.Port == meant.Port && (meant.Last == 0 || b.Last == meant.Last)) {
				places = append(places, BackendPlace{i, j})
			}
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("no service has a backend %s", backend)
	}
	return places, nil
}

// Named returns the services that the file has under a name, all of them where that is "".
func Named(cfg config.Config, name string) ([]config.Service, error) {
	if name == "" {
		return cfg.Services, nil
	}
	var named []config.Service
	for _, service := range cfg.Services {
		if service.Name == name || service.Written() == name {
			named = append(named, service)
		}
	}
	if named == nil {
		_, err := findService(cfg, name)
		return nil, err
	}
	return named, nil
}

// findService returns the place of the service of that name.
func findService(cfg config.Config, name string) (int, error) {
	names := make([]string, len(cfg.Services))
	for i, service := range cfg.Services {
		if names[i] = service.Name; service.Name == name {
			return i, nil
		}
	}
	if meant := suggest.Word(name, names); meant != "" {
		return 0, fmt.Errorf("there is no service %q: did you mean %s?", name, meant)
	}
	return 0, fmt.Errorf("there is no service %q, but %s", name, source.FirstBytes(strings.Join(names, ", ")))
}

// findBackend returns the place of the backend that is meant.
func findBackend(service config.Service, text string) (int, error) {
	var all []string
	for _, b := range service.Backends {
		all = append(all, b.String())
	}
	meant, why := config.ParseBackend(text)
	if why != nil {
		return 0, fmt.Errorf("cannot take %q for a backend: %s; service %s has %s", text, why.Cause, service.Name, source.FirstBytes(strings.Join(all, ", ")))
	}
	is := func(b config.Backend) bool {
		return b.AddrPort() == meant.AddrPort() && (meant.Last == 0 || b.Last == meant.Last)
	}
	at := slices.IndexFunc(service.Backends, is)
	if at < 0 && meant.Port == 0 { // its address alone
		is = func(b config.Backend) bool { return b.Addr == meant.Addr }
		at = slices.IndexFunc(service.Backends, is)
		if at >= 0 && slices.ContainsFunc(service.Backends[at+1:], is) {
			return 0, fmt.Errorf("service %s has more than one backend %s: name its port too", service.Name, text)
		}
	}
	if at < 0 {
		return 0, fmt.Errorf("service %s has no backend %s, but %s", service.Name, text, source.FirstBytes(strings.Join(all, ", ")))
	}
	return at, nil
}
