package health

import "natspread/internal/config"

// Of returns the check of a backend of a service, if its backends are checked. Services that
// ask a backend the same have the same check, whichever of them names the port.
func Of(s config.Service, b config.Backend) (c Check, checked bool) {
	if !s.Checked() {
		return Check{}, false
	}
	target, asked := s.Check.Of(b)
	return Check{target, asked}, true
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
