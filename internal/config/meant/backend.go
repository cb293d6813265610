package meant

import (
	"slices"
	"strings"

	"natspread/internal/config/habits"
	"natspread/internal/config/source"
)

// upStates are the words for a backend that gets connections.
var upStates = []string{"up", "on", "ready", "active", "enabled"}

// OfBackend is Keys.OfService for a key of a backend. A key that says whether the backend gets
// connections is drain, or nothing at all.
func OfBackend(_ *source.Source, pairs []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	on, isSwitch := switched(p.Value)
	key, fix = known(habits.BackendKeys, name)
	var drained bool
	switch {
	case name == "state", name == "status":
		drained = !slices.Contains(upStates, strings.ToLower(p.Value.Text))
	case name == "enabled", name == "active", name == "up":
		drained = isSwitch && !on
	case key == "drain":
		drained = on || !isSwitch
	default:
		return key, fix
	}
	if drained {
		return "drain", "write drain = true"
	}
	return "", "take " + p.Name + " out"
}
