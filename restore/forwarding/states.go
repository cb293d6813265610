package forwarding

import (
	"encoding/json"
	"strings"

	"natspread/internal/rules"
)

// oldState is a State of natspread 0.1, which knew of the host's own switch only.
type oldState struct {
	Value string  `json:"value"`
	Kept  *string `json:"kept"`
}

// UnmarshalJSON reads States, also those that natspread 0.1 wrote: a trial may outlive an
// upgrade.
func (s *States) UnmarshalJSON(data []byte) error {
	var read [2]*struct {
		State
		oldState
	}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	for _, family := range rules.Families() {
		one := read[family]
		if one == nil {
			s[family] = nil
			continue
		}
		if one.Value != "" {
			one.Switches = []Switch{{hostSwitch(family), strings.TrimSpace(one.Value)}}
		}
		if one.Kept != nil {
			one.Record = old(family, strings.TrimSpace(*one.Kept))
		}
		s[family] = &one.State
	}
	return nil
}
