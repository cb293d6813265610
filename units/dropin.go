package units

import (
	"fmt"

	"natspread/internal/paths"
)

// DropInName is the drop-in that package and install put beside the unit, below the directories of units.
const DropInName = "nftables.service.d/natspread.conf"

// DropIn returns what nftables.service is to do in addition for the program at the given absolute path. It
// empties every table when it starts, reloads and stops, and of the dependencies of our own unit none brings
// the rules back each time: a start pulls in nothing that is active already, and a stop nothing at all.
func DropIn(program string) ([]byte, error) {
	word, err := execWord(program)
	if err != nil {
		return nil, err
	}
	// The values found before us are kept while our rules are loaded, and only then: not yet when nftables
	// starts at boot, not any more after stop. No failure of ours is one of nftables'.
	again := fmt.Sprintf(`-:/bin/sh -c 'for kept in /%s/net.*; do [ ! -e "$kept" ] || exec "$0" restore; done' %s`, paths.Run, word)
	return serialize([]section{{"Service", []line{
		{"ExecStartPost", again},
		{"ExecReload", again},
		{"ExecStopPost", again},
	}}})
}
