package health

import (
	"fmt"
	"slices"
	"time"

	"natspread/internal/config"
)

// plainTimeout is how long a backend may take to accept a connection of a plain check.
const plainTimeout = time.Second

// Plain returns the check that asks a backend once of a service without checks: whether it accepts a connection at
// the first port that clients ask for, from the address that it sees of them. Only over tcp a backend that says nothing can be told from one that is dead.
func Plain(s config.Service, b config.Backend) (c Check, can bool) {
	if s.Checked() || !slices.Contains(s.Protocols, config.TCP) {
		return Check{}, false
	}
	first, check := s.Listen[0], config.Check{Type: config.CheckTCP, Timeout: plainTimeout}
	if sources := s.SNAT.Addresses(); len(sources) > 0 {
		check.Source = sources[0]
	}
	return Check{first.AnswersAt(b, first.Ports.First), check}, true
}

// PlainKey is what the config says for that check, made all the time. A backend without one port of its own
// needs a port in it.
func PlainKey(s config.Service) string {
	if slices.ContainsFunc(s.Backends, func(b config.Backend) bool { return b.Port == 0 || b.Last != 0 }) {
		first := s.Listen[0]
		return fmt.Sprintf("check = { type = %q, port = %d }", config.CheckTCP, first.AnswersAt(s.Backends[0], first.Ports.First).Port())
	}
	return fmt.Sprintf("check = %q", config.CheckTCP)
}
