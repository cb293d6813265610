package config

import "strings"

// parseListen reads an address or "*", and the ports that must follow.
func parseListen(text string) (Listen, *fault) {
	e, why := splitEndpoint(text)
	if why != nil {
		return Listen{}, why
	}
	var l Listen
	if e.host != "*" {
		if l.Addr, why = parseUnicast(e.host); why != nil {
			if l.Addr.IsUnspecified() {
				why = &fault{"it is the unspecified address", `write "*:` + portOr(e.ports) + `" for every address of this machine`}
			}
			return Listen{}, why
		}
	}
	if !e.hasPorts {
		return Listen{}, &fault{"it has no port", `write "` + Listen{l.Addr, Ports{80, 80}}.String() + `", with the port that clients connect to`}
	}
	l.Ports, why = parsePorts(e.ports)
	return l, why
}

// portOr is what was typed for a port, as long as it is one.
func portOr(ports string) string {
	if _, why := parsePorts(ports); why != nil {
		return "80"
	}
	return ports
}

// parseBackend reads an address and the one port that may follow.
func parseBackend(text string) (Backend, *fault) {
	e, why := splitEndpoint(text)
	if why != nil {
		return Backend{}, why
	}
	addr, why := parseUnicast(e.host)
	if why != nil {
		return Backend{}, why
	}
	b := Backend{Addr: addr, Weight: 1}
	if !e.hasPorts {
		return b, nil
	}
	ports, why := parsePorts(e.ports)
	switch {
	case why != nil:
		return Backend{}, why
	case ports.First != ports.Last:
		return Backend{}, &fault{"a backend has one port", `write "` + addr.String() + `" to keep the port that the client asked for`}
	}
	b.Port = ports.First
	return b, nil
}

// parsePorts reads "80" or "8000-8010".
func parsePorts(text string) (Ports, *fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := parsePort(low)
	last, ok2 := parsePort(high)
	switch {
	case !ok || !ok2:
		return Ports{}, &fault{"its port is not a number from 1 to 65535", `write the port's number, as in "192.0.2.10:80"`}
	case first > last:
		return Ports{}, &fault{"its port range ends before it begins", "write the smaller port first: " + high + "-" + low}
	}
	return Ports{first, last}, nil
}
