package report

import (
	"slices"

	"natspread/internal/compare"
	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// ServiceChange is what becomes of one service in the output of diff, and of apply
// --dry-run. One that stays as it is, is not among them.
type ServiceChange struct {
	Name      string          `json:"name"`
	Change    string          `json:"change"` // added, removed, changed
	Listen    []string        `json:"listen"` // what it listens to, and would; what it did if it is removed
	Settings  []SettingChange `json:"settings,omitempty"`
	Backends  []BackendChange `json:"backends"`            // all that it has, or had
	Reordered bool            `json:"reordered,omitempty"` // backends stand in another order
	Clients   *ClientsMoved   `json:"clients,omitempty"`   // absent where clients do not keep their backends

	head string // what kind of service it is, for people
}

// SettingChange is a key of a changed service whose value is another one.
type SettingChange = compare.SettingChange

// BackendChange is a backend of a service that is not the same any more.
type BackendChange struct {
	Address string `json:"address"`
	Change  string `json:"change"`           // added, removed, drained, undrained, backup, primary (no backup any more), weight, share (that others changed), none
	Before  *Share `json:"before,omitempty"` // absent when added
	After   *Share `json:"after,omitempty"`  // absent when removed
}

// Share is what a backend has of new connections.
type Share = compare.Share

// serviceChanges compares two configs by service, those of some families only.
func serviceChanges(before, after config.Config, families []rules.Family) []ServiceChange {
	var changes []ServiceChange
	for _, change := range compare.Configs(before, after) {
		if isOf(change.Before, families) || isOf(change.After, families) {
			changes = append(changes, serviceChangeOf(change))
		}
	}
	return changes
}

// isOf tells whether there is a service, and of one of the families.
func isOf(service *config.Service, families []rules.Family) bool {
	return service != nil && slices.Contains(families, familyOf(*service))
}

// serviceChangeOf puts a change into the shape that is printed.
func serviceChangeOf(change compare.ServiceChange) ServiceChange {
	described := ServiceChange{Name: change.Name(), Change: "changed", Settings: change.Settings, Reordered: change.Reordered, Clients: clientsMoved(change.Before, change.After)}
	service := change.After
	switch {
	case change.Before == nil:
		described.Change = "added"
	case service == nil:
		described.Change, service = "removed", change.Before
	}
	described.Listen = text.Strings(service.Listen)
	described.head = headOf(*service)
	for _, backend := range change.Backends {
		described.Backends = append(described.Backends, BackendChange{
			Address: backend.Backend.String(), Change: changeWord(backend),
			Before: backend.Before, After: backend.After,
		})
	}
	return described
}

// changeWord says in a word what becomes of a backend.
func changeWord(change compare.BackendChange) string {
	switch {
	case change.Before == nil:
		return "added"
	case change.After == nil:
		return "removed"
	case change.Before.Drain != change.After.Drain && change.After.Drain:
		return "drained"
	case change.Before.Drain != change.After.Drain:
		return "undrained"
	case change.Before.Backup != change.After.Backup && change.After.Backup:
		return "backup"
	case change.Before.Backup != change.After.Backup:
		return "primary"
	case change.Before.Weight != change.After.Weight:
		return "weight"
	case !change.Same():
		return "share"
	}
	return "none"
}
