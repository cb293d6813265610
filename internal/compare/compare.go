// Package compare says what becomes of each service and its backends between two configs.
package compare

import (
	"reflect"
	"slices"

	"natspread/internal/config"
)

// ServiceChange is what becomes of one service between two configs. A service is the
// same one in both when its name is.
type ServiceChange struct {
	Before, After *config.Service // nil where there is none: it is added, or removed
	Settings      []SettingChange // of one that is in both, in the order of the keys
	Backends      []BackendChange // all of them: those of After in its order, then those that are gone
	Reordered     bool            // backends that are in both stand in another order
}

// Name returns the name of the service.
func (c ServiceChange) Name() string {
	if c.After != nil {
		return c.After.Name
	}
	return c.Before.Name
}

// SettingChange is a key of a service whose value is another one, in words.
type SettingChange struct {
	Key    string `json:"key"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// BackendChange is a backend before and after.
type BackendChange struct {
	Backend       config.Backend // its address and port say which it is
	Before, After *Share         // nil where it is none of the service's
}

// Same tells whether nothing becomes of the backend, not even of its share.
func (c BackendChange) Same() bool {
	return c.Before != nil && c.After != nil && *c.Before == *c.After
}

// Share is what a backend has of a service's new connections.
type Share struct {
	Weight int     `json:"weight"`
	Drain  bool    `json:"drain"`  // it gets no new connections, and keeps its weight
	Backup bool    `json:"backup"` // it gets new connections only when too few of the others are up
	Share  float64 `json:"share"`  // of new connections, 0 to 1: see config.Service.Shares
}

// Configs returns the services that two configs do not have in common, or not alike:
// those of after in its order, then those that are gone. The order of the services
// means nothing, and is not compared.
func Configs(before, after config.Config) []ServiceChange {
	was, is := byName(before), byName(after)
	var changes []ServiceChange
	for i := range after.Services {
		service := &after.Services[i]
		if same := was[service.Name]; same != nil && reflect.DeepEqual(*same, *service) {
			continue
		}
		if change := changeOf(was[service.Name], service); change.any() {
			changes = append(changes, change)
		}
	}
	for i := range before.Services {
		if service := &before.Services[i]; is[service.Name] == nil {
			changes = append(changes, changeOf(service, nil))
		}
	}
	return changes
}

// byName returns the services of a config by their names.
func byName(cfg config.Config) map[string]*config.Service {
	services := make(map[string]*config.Service, len(cfg.Services))
	for i := range cfg.Services {
		services[cfg.Services[i].Name] = &cfg.Services[i]
	}
	return services
}

// any tells whether there is a change at all.
func (c ServiceChange) any() bool {
	if c.Before == nil || c.After == nil || c.Reordered || len(c.Settings) > 0 {
		return true
	}
	return slices.ContainsFunc(c.Backends, func(b BackendChange) bool { return !b.Same() })
}

// changeOf compares one service with another one, one of which may be nil.
func changeOf(before, after *config.Service) ServiceChange {
	change := ServiceChange{Before: before, After: after}
	was, is := shares(before), shares(after)
	if after != nil {
		for _, b := range after.Backends {
			change.Backends = append(change.Backends, BackendChange{b, was[identity(b)], is[identity(b)]})
		}
	}
	if before != nil {
		for _, b := range before.Backends {
			if is[identity(b)] == nil {
				change.Backends = append(change.Backends, BackendChange{b, was[identity(b)], nil})
			}
		}
	}
	if before != nil && after != nil {
		change.Settings = settingChanges(*before, *after)
		change.Reordered = !slices.Equal(common(*before, is), common(*after, was))
	}
	return change
}

// identity is what tells a backend from others: its address and its ports.
func identity(b config.Backend) config.Backend {
	return config.Backend{Addr: b.Addr, Port: b.Port, Last: b.Last}
}

// shares returns what each backend of a service has; none where there is no service.
func shares(service *config.Service) map[config.Backend]*Share {
	if service == nil {
		return nil
	}
	shares := service.Shares(service.Owned())
	all := make(map[config.Backend]*Share, len(service.Backends))
	for i, b := range service.Backends {
		all[identity(b)] = &Share{Weight: b.Weight, Drain: b.Drain, Backup: b.Backup, Share: shares[i]}
	}
	return all
}

// common returns where those backends of a service are that others have too, in its order.
func common(service config.Service, others map[config.Backend]*Share) []config.Backend {
	var both []config.Backend
	for _, b := range service.Backends {
		if others[identity(b)] != nil {
			both = append(both, identity(b))
		}
	}
	return both
}

// settingChanges returns the keys, backends apart, whose values differ.
func settingChanges(before, after config.Service) []SettingChange {
	var changes []SettingChange
	was, is := settings(before), settings(after)
	for i, setting := range is {
		if was[i].value != setting.value {
			changes = append(changes, SettingChange{setting.key, was[i].value, setting.value})
		}
	}
	return changes
}
