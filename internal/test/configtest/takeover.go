package configtest

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
)

// forTakeover gives a service the algorithm and the protocols of one that may have takeover.
func forTakeover(made *config.Service) {
	if made.Algorithm != config.Source && len(made.Backends) > 1 {
		made.Algorithm = config.Flow
	}
	made.Protocols = slices.DeleteFunc(made.Protocols, func(p config.Protocol) bool { return p == config.SCTP })
	if len(made.Protocols) == 0 {
		made.Protocols = []config.Protocol{config.TCP}
	}
}

// takeOver gives a service takeover, and leaves it those of its listen addresses that go with
// that; false where there is none.
func takeOver(made *config.Service, others []config.Service) bool {
	var list []config.Listen
	for _, l := range made.Listen {
		meets := func(o config.Service) bool { return o.Takeover && answersMeet(*made, l, o, o.Listen) }
		if !l.Any() && alone(*made, l) && !answersMeet(*made, l, *made, list) && !slices.ContainsFunc(others, meets) {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		return false
	}
	made.Listen, made.Takeover = list, true
	made.SNAT = config.SNAT{Mode: config.None}
	return true
}

// alone tells whether each backend answers for one port of a listen address at each of its own.
func alone(made config.Service, l config.Listen) bool {
	return l.Ports.First == l.Ports.Last || !slices.ContainsFunc(made.Backends, func(b config.Backend) bool { return b.Port != 0 })
}

// answersMeet tells whether a backend of both services answers at one port for a listen address
// of the one and for any of the other.
func answersMeet(a config.Service, listen config.Listen, b config.Service, listens []config.Listen) bool {
	if !slices.ContainsFunc(a.Protocols, func(p config.Protocol) bool { return slices.Contains(b.Protocols, p) }) {
		return false
	}
	at := map[netip.Addr][]config.Ports{}
	for _, backend := range a.Backends {
		at[backend.Addr] = append(at[backend.Addr], answerPorts(backend, listen))
	}
	return slices.ContainsFunc(listens, func(l config.Listen) bool {
		return slices.ContainsFunc(b.Backends, func(backend config.Backend) bool {
			second := answerPorts(backend, l)
			return slices.ContainsFunc(at[backend.Addr], func(first config.Ports) bool { return first.First <= second.Last && second.First <= first.Last })
		})
	})
}

// answerPorts returns where a backend answers what is asked of a listen address.
func answerPorts(b config.Backend, l config.Listen) config.Ports {
	if b.Port != 0 {
		return config.Ports{First: b.Port, Last: b.Port}
	}
	return l.Ports
}

// takeOver gives a service of eight takeover, if no service before has it with one of its
// backends.
func (f *filler) takeOver(made *config.Service) {
	known := func(b config.Backend) bool { return f.answering[b.Addr] }
	if f.IntN(4) > 0 || slices.ContainsFunc(made.Listen, config.Listen.Any) || slices.ContainsFunc(made.Backends, known) ||
		slices.Contains(made.Protocols, config.SCTP) || len(made.Backends) > 1 && made.Slots == 0 || !takeOver(made, nil) {
		return
	}
	for _, b := range made.Backends {
		f.answering[b.Addr] = true
	}
}
