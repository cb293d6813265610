package health

import (
	"net/netip"

	"natspread/internal/config"
)

// Of returns the check of a backend of a service, if its backends are checked. Services that
// ask a backend the same have the same check, whichever of them names the port.
func Of(s config.Service, b config.Backend) (c Check, checked bool) {
	if !s.Checked() {
		return Check{}, false
	}
	port := s.Check.Port
	if port == 0 {
		port = b.Port
	}
	c = Check{Target: netip.AddrPortFrom(b.Addr, port), Check: s.Check}
	c.Port = 0 // Target has it
	return c, true
}

// Checks returns the checks of all backends, drained ones and backups too, in the order of
// the file. What several services ask is asked once.
func Checks(cfg config.Config) []Check {
	var all []Check
	seen := map[Check]bool{}
	for _, s := range cfg.Services {
		for _, b := range s.Backends {
			if c, checked := Of(s, b); checked && !seen[c] {
				seen[c] = true
				all = append(all, c)
			}
		}
	}
	return all
}

// Users returns the places of the services that each check is made for.
func Users(cfg config.Config) map[Check][]int {
	users := map[Check][]int{}
	for i, s := range cfg.Services {
		for _, b := range s.Backends {
			if c, checked := Of(s, b); checked {
				if all := users[c]; len(all) == 0 || all[len(all)-1] != i {
					users[c] = append(all, i)
				}
			}
		}
	}
	return users
}

// Rate returns how many checks a second start, as the bound of a config counts them: one of
// https, whose handshake costs as much as ten others, counts as ten.
func Rate(checks []Check) float64 {
	rate := 0.0
	for _, c := range checks {
		rate += float64(c.cost()) / c.Interval.Seconds()
	}
	return rate
}

// cost returns as how many checks one counts.
func (c Check) cost() int {
	if c.Type == config.CheckHTTPS {
		return 10
	}
	return 1
}
