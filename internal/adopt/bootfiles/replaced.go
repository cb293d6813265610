package bootfiles

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/rules"
)

// Replaced finds the files below a root that load rules at boot which a config's services replace: rules that were
// taken out, and others that lead what a service listens for to a backend of it.
func Replaced(root string, services []config.Service, taken []rules.Taken) []File {
	var backends []string
	for _, service := range services {
		for _, backend := range service.Backends {
			backends = append(backends, backend.Addr.String())
		}
	}
	was := meaningsOf(taken)
	lines := slices.DeleteFunc(Find(root, Wanted{Backends: backends, Taken: taken}), func(line Line) bool {
		replaced := was[meaning(line.family(), ruleOf(line))] || slices.ContainsFunc(services, func(s config.Service) bool { return replaces(s, line) })
		return !line.Sure || !replaced
	})
	return Files(lines)
}

// replaces tells whether a service replaces what a line loads that leads to a backend.
func replaces(service config.Service, line Line) bool {
	if !slices.ContainsFunc(service.Backends, func(b config.Backend) bool { return hasAddress(line.Text, b.Addr.String()) }) {
		return false
	}
	rule := read(line.family(), ruleOf(line))
	return slices.ContainsFunc(service.Listen, func(listen config.Listen) bool {
		if rule == nil { // as a line of nft's, or one with a variable
			return regexp.MustCompile(`\b` + strconv.Itoa(int(listen.Ports.First)) + `\b`).MatchString(line.Text)
		}
		return meets(rule.Asks, service.Protocols, listen)
	})
}

// meets tells whether packets that a service listens for may come to a rule.
func meets(asks walk.Asks, protocols []config.Protocol, listen config.Listen) bool {
	ports := rules.Ports(listen.Ports)
	spoken := func(p config.Protocol) bool {
		return asks.Protocol == "" || asks.Protocol == "all" || rules.ProtocolNumber(string(p)) == rules.ProtocolNumber(asks.Protocol) ||
			strconv.Itoa(int(rules.ProtocolNumber(string(p)))) == asks.Protocol
	}
	asked := func(p rules.Ports) bool { return p.First <= ports.Last && ports.First <= p.Last }
	reaches := func(p netip.Prefix) bool { return !listen.Addr.IsValid() || p.Contains(listen.Addr) }
	return slices.ContainsFunc(protocols, spoken) &&
		(len(asks.Ports) == 0 || slices.ContainsFunc(asks.Ports, asked)) &&
		(len(asks.Destination) == 0 || slices.ContainsFunc(asks.Destination, reaches))
}
