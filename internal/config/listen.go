package config

import (
	"strings"

	"natspread/internal/config/value"
)

// parseListen reads an address or "*", and the ports that must follow.
func parseListen(text string) (Listen, *value.Fault) {
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return Listen{}, why
	}
	var l Listen
	if e.Host != "*" {
		if l.Addr, why = value.ParseUnicast(e.Host); why != nil {
			if l.Addr.IsUnspecified() {
				why = &value.Fault{Cause: "it is the unspecified address", Fix: `write "*:` + portOr(e.Ports) + `" for every address of this machine`}
			}
			return Listen{}, why
		}
	}
	if !e.HasPorts {
		return Listen{}, &value.Fault{Cause: "it has no port", Fix: `write "` + Listen{l.Addr, Ports{80, 80}}.String() + `", with the port that clients connect to`}
	}
	l.Ports, why = parsePorts(e.Ports)
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
func parseBackend(text string) (Backend, *value.Fault) {
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return Backend{}, why
	}
	addr, why := value.ParseUnicast(e.Host)
	if why != nil {
		return Backend{}, why
	}
	b := Backend{Addr: addr, Weight: 1}
	if !e.HasPorts {
		return b, nil
	}
	ports, why := parsePorts(e.Ports)
	switch {
	case why != nil:
		return Backend{}, why
	case ports.First != ports.Last:
		return Backend{}, &value.Fault{Cause: "a backend has one port", Fix: `write "` + addr.String() + `" to keep the port that the client asked for`}
	}
	b.Port = ports.First
	return b, nil
}

// parsePorts reads "80" or "8000-8010".
func parsePorts(text string) (Ports, *value.Fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := value.ParsePort(low)
	last, ok2 := value.ParsePort(high)
	switch {
	case !ok || !ok2:
		return Ports{}, &value.Fault{Cause: "its port is not a number from 1 to 65535", Fix: `write the port's number, as in "192.0.2.10:80"`}
	case first > last:
		return Ports{}, &value.Fault{Cause: "its port range ends before it begins", Fix: "write the smaller port first: " + high + "-" + low}
	}
	return Ports{first, last}, nil
}
