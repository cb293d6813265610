package config

import (
	"net/netip"
	"reflect"
	"strings"

	"natspread/internal/config/audience"
	"natspread/internal/config/endpoint"
	"natspread/internal/config/value"
)

// Bounds of what a config may ask for. They keep the rules that follow from it
// within what the kernel loads in a blink.
const (
	// MaxSize is the most bytes that all files of a config may have together: ten thousand services
	// take 2 MB.
	MaxSize = 16 << 20
	// MaxBackends is the most backends of one service.
	MaxBackends = 4096
	// MaxTurns is the longest round-robin period, the sum of the weights over
	// their greatest common divisor: each turn costs a rule.
	MaxTurns = 4096
	// MaxWeight is the greatest weight of a backend.
	MaxWeight = 65535
)

// Config is a whole checked file.
type Config struct {
	Services []Service // in file order, at least one
}

// Equivalent tells whether two configs say the same, whatever their files look like. It is
// not called Equal, by which go-cmp would compare, and show no difference.
func (c Config) Equivalent(other Config) bool { return reflect.DeepEqual(c, other) }

// CountBackends counts the backends of all services.
func (c Config) CountBackends() int {
	n := 0
	for _, service := range c.Services {
		n += len(service.Backends)
	}
	return n
}

// Service is one balanced service. Its addresses are all of one family: see Written.
type Service struct {
	Name      string     // at most 32 of a-z, 0-9, "-" and "_"
	Listen    []Listen   // at least one
	Protocols []Protocol // in file order, at least one
	SNAT      SNAT
	SNATPorts SourcePorts // how the source port is picked where SNAT, or Hairpin, rewrites the source
	Backends  []Backend   // at least one
	Algorithm Algorithm
	// Slots is how many parts of all clients have a backend of their own, a power of two; 0
	// where Algorithm is neither Source nor Flow.
	Slots        int
	SourcePrefix int            // how many first bits of a client's address tell its slot; 0 where Slots is
	Hairpin      []netip.Prefix // clients to masquerade although SNAT is None
	audience.Audience
	Refused  Refused  // what all others get; "" where it is for everybody
	Local    bool     // connections made on the balancer itself are balanced too
	OnRemove OnRemove // what becomes of the connections of a backend that is taken out
	Forward  Forward  // whether FORWARD lets the connections through, whatever its other rules say
	ClampMSS ClampMSS // what becomes of what both ends of a TCP connection say of their segments
	Takeover bool     // connections that another balancer with this config had go on here
	Check    Check    // what its backends are asked; the zero Check where nobody asks
	MinUp    int      // with a Check: with fewer primaries up, the backups join; else 0
	OnDown   OnDown   // with a Check: what becomes of open TCP connections of a backend that goes down; else ""
}

// Is6 reports whether the service is IPv6. The backends decide, because "*"
// has no family of its own.
func (s Service) Is6() bool { return s.Backends[0].Addr.Is6() }

// PortMap writes the ports that the service maps, as the config does: "{ 80 = 8080, 443 = 8443 }".
// It is "" where it maps none.
func (s Service) PortMap() string {
	var pairs []string
	for _, listen := range s.Listen {
		if listen.To != 0 && listen.Addr == s.Listen[0].Addr { // all have the same
			pairs = append(pairs, endpoint.Pair{Asked: listen.Ports, To: listen.Answers(Backend{})}.String())
		}
	}
	if pairs == nil {
		return ""
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// Listen is what clients connect to.
type Listen struct {
	Addr  netip.Addr // the zero Addr is "*": every address of the balancer
	Ports Ports
	// To is the port where backends answer for the first of Ports, and the next one for the next.
	// They have no port of their own then. It is 0 where the service maps no ports.
	To uint16
}

// Answers returns the ports where a backend answers for l.
func (l Listen) Answers(b Backend) Ports {
	switch {
	case b.Port != 0:
		return b.Ports()
	case l.To != 0:
		return Ports{First: l.To, Last: l.To + l.Ports.Last - l.Ports.First}
	}
	return l.Ports
}

// AnswersAt returns where a backend answers what asks for a port of l: at its one port, or at that of
// its range that has the same place as the asked one in l.
func (l Listen) AnswersAt(b Backend, asked uint16) netip.AddrPort {
	at := l.Answers(b)
	if at.First != at.Last {
		return netip.AddrPortFrom(b.Addr, at.First+asked-l.Ports.First)
	}
	return netip.AddrPortFrom(b.Addr, at.First)
}

// Any reports whether l stands for every address of the balancer.
func (l Listen) Any() bool { return !l.Addr.IsValid() }

// String writes l as the config does: "192.0.2.10:80", "[2001:db8::10]:80-89", "*:80".
func (l Listen) String() string { return endpoint.Listen{Addr: l.Addr, Ports: l.Ports}.String() }

// Ports is a range with both ends in it; a single port is both ends.
type Ports = endpoint.Ports

// Backend is a server that connections are spread to.
type Backend struct {
	Addr   netip.Addr
	Port   uint16 // 0 keeps the port the client asked for, but for Listen.To
	Last   uint16 // of a range of ports that Port begins; 0 where there is one port, or none
	Weight int    // 0 to MaxWeight; 0 takes no new connections
	Drain  bool   // it takes no new connections, and keeps its weight for later
	Backup bool   // it gets new connections only when too few of the others are up
	// Joined tells that a Backup gets new connections now, beside the others. No file says
	// so: whoever renders the result of health checks sets it.
	Joined bool
	// Out tells that it gets no new connections now, although the file lets it. No file says
	// that either. Unlike a backend with Drain it may be dead.
	Out bool
}

// AddrPort returns the backend's address and port, the first one of several.
func (b Backend) AddrPort() netip.AddrPort { return netip.AddrPortFrom(b.Addr, b.Port) }

// Drained tells whether the backend gets no new connections.
func (b Backend) Drained() bool { return b.Drain || b.Out || b.Weight == 0 }

// ActiveWeight returns the weight by which the backend gets new connections, 0 where it is
// drained.
func (b Backend) ActiveWeight() int {
	if b.Drained() {
		return 0
	}
	return b.Weight
}

// Ports returns the backend's own ports, the zero value where it has none.
func (b Backend) Ports() Ports { return Ports{First: b.Port, Last: max(b.Port, b.Last)} }

// withPorts returns b with other ports of its own, the zero value for none.
func (b Backend) withPorts(ports Ports) Backend {
	b.Port, b.Last = ports.First, 0
	if ports.First != ports.Last {
		b.Last = ports.Last
	}
	return b
}

// String writes b without its weight, as the config does: "10.0.0.1:80", "2001:db8::1",
// "10.0.0.1:9000-9010".
func (b Backend) String() string {
	if b.Port == 0 {
		return b.Addr.String()
	}
	return value.Join(b.Addr.String(), b.Ports().String())
}

// Protocol is a transport that has ports.
type Protocol string

// The protocols a service can speak.
const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	SCTP Protocol = "sctp"
)

// Algorithm is how the next backend is picked.
type Algorithm string

// The algorithms. Random is the default, because round-robin starts over at
// each load of the rules.
const (
	Random     Algorithm = "random"
	RoundRobin Algorithm = "round-robin"
	Source     Algorithm = "source" // by the client's address: it keeps its backend
	Flow       Algorithm = "flow"   // by the client's address and port
)

// OnRemove is what becomes of the connections of a backend, or of a whole service,
// that is taken out of the file. UDP, which has no connections to finish, moves on
// at once either way.
type OnRemove string

// The kinds of OnRemove. A backend of weight 0 is drained whichever it is.
const (
	Drain OnRemove = "drain" // they go on until they end; the default
	Reset OnRemove = "reset" // they are cut
)

// Forward is what the FORWARD chain of the filter table does with the connections of
// a service.
type Forward string

// The kinds of Forward.
const (
	Leave  Forward = "leave"  // what its rules and its policy say; the default
	Accept Forward = "accept" // it lets them through
)
