package rules

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// VirtualService is one address, protocol and range of ports that clients connect to, and
// the backends that their connections may be at: those that get new ones, and the
// drained ones, which no rule of a table leads to any more. The word is that of IPVS.
type VirtualService struct {
	Service  string           // its name in the config
	Protocol string           // tcp, udp, sctp
	Address  netip.Addr       // the zero Addr is every address of the host
	Ports    Ports            // never the zero value
	Backends []netip.AddrPort // at least one; port 0 keeps the port that the client asked for
	Shifted  bool             // the port of a backend is for the first of Ports: the next one is for the next
	Reset    bool             // connections to a backend that is taken out are cut, not left to end
}

// EncodeServices returns the services file of a generation, which says what its rules
// balance, so that nobody has to parse a config for that. Its first and last lines are
// those of a rules file; between them is a line for each virtual service: its name, the
// protocol, the listen address, drain or reset, and the backends.
func EncodeServices(services []VirtualService) []byte {
	b := make([]byte, 0, 256+80*len(services))
	for _, service := range services {
		b = service.appendTo(b)
	}
	return encode("services", b, endOfServices)
}

// DecodeServices reads a services file. It is the inverse of EncodeServices, and takes
// nothing that EncodeServices did not write.
func DecodeServices(file []byte) ([]VirtualService, error) {
	text, err := decode("services", file, endOfServices)
	if err != nil {
		return nil, err
	}
	services := make([]VirtualService, 0, bytes.Count(text, []byte("\n")))
	var again []byte
	for line := range strings.Lines(string(text)) {
		service, ok := parseService(strings.TrimSuffix(line, "\n"))
		// As with rules, to ask for the same line back forbids every other spelling.
		if ok {
			again = service.appendTo(again[:0])
		}
		if !ok || string(again) != line {
			return nil, fmt.Errorf("line %d: %.200q is no service that natspread writes", len(services)+2, line)
		}
		services = append(services, service)
	}
	return services, nil
}

// appendTo appends the line of a virtual service.
func (s VirtualService) appendTo(b []byte) []byte {
	b = append(append(append(append(b, s.Service...), ' '), s.Protocol...), ' ')
	switch {
	case !s.Address.IsValid():
		b = append(b, '*')
	case s.Address.Is6():
		b = append(s.Address.AppendTo(append(b, '[')), ']')
	default:
		b = s.Address.AppendTo(b)
	}
	b = s.Ports.appendTo(append(b, ':'), '-')
	onRemove := " drain"
	if s.Reset {
		onRemove = " reset"
	}
	b = append(b, onRemove...)
	for _, backend := range s.Backends {
		b = append(b, ' ')
		switch {
		case backend.Port() == 0:
			b = backend.Addr().AppendTo(b)
		case s.Shifted:
			b = strconv.AppendUint(append(backend.AppendTo(b), '-'), uint64(backend.Port()+s.Ports.Last-s.Ports.First), 10)
		default:
			b = backend.AppendTo(b)
		}
	}
	return append(b, '\n')
}

// parseService reads the line of a virtual service. What it takes too much, the caller
// finds by appendTo.
func parseService(line string) (service VirtualService, ok bool) {
	words := strings.Split(line, " ")
	if len(words) < 5 || !plain(words[0]) || ProtocolNumber(words[1]) == 0 {
		return VirtualService{}, false
	}
	service = VirtualService{Service: words[0], Protocol: words[1], Reset: words[3] == "reset"}
	if service.Address, service.Ports, ok = parseListen(words[2]); !ok {
		return VirtualService{}, false
	}
	for _, word := range words[4:] {
		word, _, ranged := strings.Cut(word, "-") // the last port is as the caller wants it, or that finds it
		service.Shifted = service.Shifted || ranged
		backend, ok := parseBackend(word)
		ok = ok && !(ranged && (service.Ports.First == service.Ports.Last || int(backend.Port())+int(service.Ports.Last-service.Ports.First) > math.MaxUint16))
		if !ok || len(service.Backends) > 0 && backend.Addr().Is4() != service.Backends[0].Addr().Is4() {
			return VirtualService{}, false
		}
		service.Backends = append(service.Backends, backend)
	}
	sameFamily := !service.Address.IsValid() || service.Address.Is4() == service.Backends[0].Addr().Is4()
	return service, sameFamily && slices.Contains([]string{"drain", "reset"}, words[3])
}

// parseListen reads ADDRESS:PORT or ADDRESS:FIRST-LAST; the address "*" is every one.
func parseListen(word string) (address netip.Addr, ports Ports, ok bool) {
	colon := strings.LastIndexByte(word, ':')
	if colon < 0 {
		return address, ports, false
	}
	if host := strings.Trim(word[:colon], "[]"); host != "*" {
		var err error
		if address, err = netip.ParseAddr(host); err != nil || address.Zone() != "" {
			return address, ports, false
		}
	}
	ports, ok = parsePorts(word[colon+1:], "-")
	return address, ports, ok
}

// parseBackend reads ADDRESS or ADDRESS:PORT.
func parseBackend(word string) (netip.AddrPort, bool) {
	if backend, err := netip.ParseAddrPort(word); err == nil {
		return backend, backend.Addr().Zone() == ""
	}
	address, err := netip.ParseAddr(word)
	return netip.AddrPortFrom(address, 0), err == nil && address.Zone() == ""
}
