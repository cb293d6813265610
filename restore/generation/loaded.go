package generation

import (
	"encoding/json"
	"os"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// Loaded is what is known of the kernel for as long as nobody touches its tables: it held
// a generation's tables, or those of an overlay of it, every jump in its place, when nftables'
// ruleset had a number.
type Loaded struct {
	Generation int           `json:"generation"`
	Overlay    string        `json:"overlay"` // the sum of its record, "" for none
	Variant    rules.Variant `json:"variant"`
	Ruleset    uint32        `json:"ruleset"`   // never 0
	Namespace  string        `json:"namespace"` // the network namespace of one boot
}

// loadedRecord is where it is kept, below the root.
const loadedRecord = paths.Run + "/loaded"

// RecordLoaded keeps what the kernel was read to hold; without the number of its ruleset,
// or its namespace, nothing is kept. That nothing can be kept costs time only.
func (s Store) RecordLoaded(loaded Loaded) {
	path := s.Path(loadedRecord)
	data, err := json.Marshal(loaded)
	if kept, err := os.ReadFile(path); err == nil && string(kept) == string(data) {
		return
	}
	if err != nil || loaded.Ruleset == 0 || loaded.Namespace == "" || atomicfile.WriteFile(path, data, 0o600) != nil {
		_ = os.Remove(path)
	}
}

// StillLoaded tells whether what is known of the kernel now was recorded: then it still
// holds the generation.
func (s Store) StillLoaded(now Loaded) bool {
	data, err := os.ReadFile(s.Path(loadedRecord))
	var recorded Loaded
	return err == nil && json.Unmarshal(data, &recorded) == nil && recorded == now && now.Ruleset != 0 && now.Namespace != ""
}
