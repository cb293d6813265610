package selftest

import (
	"fmt"
	"net/netip"

	"natspread/internal/config"
	"natspread/internal/nethost"
)

// target is what a client asks for.
type target struct {
	listen   config.Listen
	protocol config.Protocol
	port     uint16
}

// addTargets chooses some of what clients may ask for: of a range of ports both ends.
func (s *serviceTest) addTargets(sctp bool) {
	if s.service.Is6() && !nethost.HasIPv6() {
		s.notTried = append(s.notTried, "IPv6: this kernel has it switched off")
		return
	}
	var all []target
	for _, protocol := range s.service.Protocols {
		if protocol == config.SCTP && !sctp {
			s.notTried = append(s.notTried, "sctp: this kernel has no SCTP sockets; modprobe sctp loads them")
			continue
		}
		for _, listen := range s.service.Listen {
			all = append(all, target{listen, protocol, listen.Ports.First})
			if listen.Ports.Last != listen.Ports.First {
				all = append(all, target{listen, protocol, listen.Ports.Last})
			}
		}
	}
	most := max(1, min(maxTargets, config.MaxBackends/len(s.service.Backends)))
	s.targets = some(all, most)
	for _, t := range s.targets {
		s.answers = append(s.answers, s.answering(t))
	}
	if left := len(all) - len(s.targets); left > 0 {
		s.notTried = append(s.notTried, fmt.Sprintf("%d of %d listen addresses, ports and protocols: some are enough", left, len(all)))
	}
}

// some returns so many of a list at most, evenly spread.
func some[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	chosen := make([]T, most)
	for i := range chosen {
		chosen[i] = list[i*len(list)/most]
	}
	return chosen
}

// at returns the address and port that a client asks for. Where the service listens on every
// address, these are those of the balancer's interface that leads to the client.
func (s *serviceTest) at(t target, c client) netip.AddrPort {
	address := t.listen.Addr
	if t.listen.Any() {
		by := c.by
		if by == "" {
			by = linkOut
		}
		address = s.gateway(by, s.service.Is6())
	}
	return netip.AddrPortFrom(address, t.port)
}

// answering returns the places of the backends by where they answer what is asked for.
func (s *serviceTest) answering(t target) map[netip.AddrPort]int {
	places := map[netip.AddrPort]int{}
	for i, backend := range s.service.Backends {
		places[t.listen.AnswersAt(backend, t.port)] = i
	}
	return places
}
