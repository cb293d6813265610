package endpoint

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// Listen is what clients connect to: an address, the zero Addr for "*", and ports.
type Listen struct {
	Addr  netip.Addr
	Ports Ports
}

// Any reports whether l stands for every address of the balancer.
func (l Listen) Any() bool { return !l.Addr.IsValid() }

// String writes l as the config does: "192.0.2.10:80", "[2001:db8::10]:80-89", "*:80".
func (l Listen) String() string {
	if l.Any() {
		return "*:" + l.Ports.String()
	}
	return value.Join(l.Addr.String(), l.Ports.String())
}

// ParseListen reads an address or "*", and the ports that must follow: one, a range, or several of
// these with commas between them.
func ParseListen(text string) ([]Listen, *value.Fault) {
	if list, several := readSeveral(text); several {
		return list, nil
	}
	l, why := readListen(text)
	if why == nil {
		return []Listen{l}, nil
	}
	return nil, orMeant(why, text, func(part string) bool {
		_, why := readListen(part)
		return why == nil
	})
}

// readSeveral reads an address with a list of ports.
func readSeveral(text string) ([]Listen, bool) {
	first, rest, several := strings.Cut(text, ",")
	l, why := readListen(first)
	if why != nil || !several {
		return nil, false
	}
	list := []Listen{l}
	for part := range strings.SplitSeq(rest, ",") {
		if l.Ports, why = ParsePorts(part); why != nil {
			return nil, false
		}
		list = append(list, l)
	}
	return list, true
}

// ParseHost reads an address or "*" without ports.
func ParseHost(text string) (netip.Addr, *value.Fault) {
	if text == "*" {
		return netip.Addr{}, nil
	}
	if list, why := ParseListen(text); why == nil {
		address := "*"
		if !list[0].Any() {
			address = list[0].Addr.String()
		}
		return netip.Addr{}, &value.Fault{Cause: "with the key ports it has no port of its own", Fix: "write " + source.Quote(address)}
	}
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return netip.Addr{}, why
	}
	return value.ParseUnicast(e.Host)
}

// longestMeant is how long a text may be that is taken apart to see what was meant.
const longestMeant = 2048

// orMeant gives a fault of a text another fix, where the text is several good ones, or a good one with
// something around it.
func orMeant(why *value.Fault, text string, good func(string) bool) *value.Fault {
	if len(text) > longestMeant {
		return why
	}
	if _, rest, isURL := strings.Cut(text, "://"); isURL {
		text, _, _ = strings.Cut(rest, "/")
	}
	meant := []string{strings.Join(strings.Fields(text), "")}
	if !good(meant[0]) {
		meant = strings.FieldsFunc(text, value.Separates)
	}
	for _, part := range meant {
		if !good(part) {
			return why
		}
	}
	if len(meant) == 0 {
		return why
	}
	return &value.Fault{Cause: why.Cause, Fix: "write " + source.QuoteList(meant)}
}

// interfaceName is what is more likely an interface than a host: eth0, enp3s0, wg0.
var interfaceName = regexp.MustCompile(`\A(eth|en[opsx]|wl|ww|ppp|wg|br|bond|team|tun|tap|vlan|ib)[a-z0-9.-]*[0-9][a-z0-9.-]*\z`)

// readListen is ParseListen without its fixes for what stands around good values.
func readListen(text string) (Listen, *value.Fault) {
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return Listen{}, why
	}
	if isPort(text) {
		e = value.Endpoint{Ports: text, HasPorts: true}
	}
	var l Listen
	if e.Host != "*" {
		if l.Addr, why = value.ParseUnicast(e.Host); why != nil {
			return Listen{}, hostFault(e, l, why)
		}
	}
	if !e.HasPorts {
		return Listen{}, portlessFault(e.Host, l)
	}
	if l.Ports, why = ParsePorts(e.Ports); why != nil {
		why.Fix = value.PortsFix(e.Host, e.Ports)
	}
	return l, why
}

// isPort tells whether a text is a port, and not an address, as nearly all are.
func isPort(text string) bool {
	if strings.ContainsAny(text, ".:*") {
		return false
	}
	_, ok := value.ParsePort(text)
	return ok
}

// hostFault is the fault of what stands before the ports of a listen address, where that is no
// address of one machine.
func hostFault(e value.Endpoint, l Listen, why *value.Fault) *value.Fault {
	anyHost := fmt.Sprintf("%q", value.Join("*", portOr(e.Ports)))
	switch {
	case l.Addr.IsUnspecified():
		return &value.Fault{Cause: "it is the unspecified address", Fix: "write " + anyHost + " for every address of this machine"}
	case l.Addr.IsLoopback(), e.Host == "localhost":
		return &value.Fault{Cause: "it is a loopback address, which never leaves its machine", Fix: "write " + anyHost + ", or another address of this machine"}
	case e.Host == "":
		return &value.Fault{Cause: "its address is missing", Fix: "write " + anyHost + " for every address of this machine, or one of them"}
	case e.Host == "**" || e.Host == "any" || e.Host == "all":
		return &value.Fault{Cause: "every address of this machine is *", Fix: "write " + anyHost}
	case interfaceName.MatchString(e.Host):
		return &value.Fault{Cause: "it is the name of an interface, not an address", Fix: "write " + anyHost + " and interface = " + source.Quote(e.Host)}
	}
	return why.WithPorts(e.Ports)
}

// portlessFault is the fault of a listen address without ports. The last number of an IPv6 address
// may be meant for one.
func portlessFault(text string, l Listen) *value.Fault {
	if last := strings.LastIndex(text, ":"); last > 0 {
		port, isPort := value.ParsePort(text[last+1:])
		if address, why := value.ParseUnicast(text[:last]); isPort && why == nil {
			return &value.Fault{Cause: "it has no port, which stands behind brackets", Fix: fmt.Sprintf("write %q, if %d is the port", Listen{Addr: address, Ports: Ports{port, port}}, port)}
		}
	}
	return &value.Fault{Cause: "it has no port", Fix: fmt.Sprintf("write %q, with the port that clients connect to", Listen{Addr: l.Addr, Ports: Ports{80, 80}})}
}

// portOr is what was typed for a port, as long as it is one.
func portOr(ports string) string {
	if _, why := ParsePorts(ports); why != nil {
		return "80"
	}
	return ports
}

// flaggedBackend is a backend as other programs write it: with its weight, or its state, behind it.
var flaggedBackend = regexp.MustCompile(`(?i)\A(\S+?)[\s,;]+(?:(weight)\s*[=:]?\s*([0-9]+)|(backup)|(down|drain|maint))\z`)

// Backend is where connections go: an address and its ports, the zero value for those that clients
// ask for.
type Backend struct {
	Addr  netip.Addr
	Ports Ports
}

// ParseBackend reads an address, and the port or the range of ports that may follow.
func ParseBackend(text string) (Backend, *value.Fault) {
	b, why := bareBackend(text)
	if why == nil {
		return b, nil
	}
	good := func(part string) bool {
		_, why := bareBackend(part)
		return why == nil
	}
	if m := flaggedBackend.FindStringSubmatch(text); m != nil && good(m[1]) {
		key := "drain = true"
		switch {
		case m[2] != "":
			key = "weight = " + m[3]
		case m[4] != "":
			key = "backup = true"
		}
		return b, &value.Fault{Cause: "it has more than an address and a port in it", Fix: "write { address = " + source.Quote(m[1]) + ", " + key + " }"}
	}
	return b, orMeant(why, text, good)
}

// bareBackend is ParseBackend without its fixes for what stands around good values.
func bareBackend(text string) (Backend, *value.Fault) {
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return Backend{}, why
	}
	if isPort(text) {
		return Backend{}, &value.Fault{Cause: "it has no address", Fix: "write the address of a machine, as in " + source.Quote(value.Join("10.0.0.1", text))}
	}
	addr, why := value.ParseUnicast(e.Host)
	if why != nil {
		return Backend{}, why.WithPorts(e.Ports)
	}
	b := Backend{Addr: addr}
	if !e.HasPorts {
		return b, nil
	}
	if b.Ports, why = ParsePorts(e.Ports); why == nil {
		return b, nil
	}
	if len(value.MeantPorts(e.Ports)) > 1 {
		return Backend{}, &value.Fault{Cause: SeveralPorts, Fix: fmt.Sprintf("write %q, which keeps the port that the client asked for", addr)}
	}
	return Backend{}, &value.Fault{Cause: why.Cause, Fix: value.PortsFix(e.Host, e.Ports)}
}

// SeveralPorts is why a backend cannot have a list of ports.
const SeveralPorts = "a backend has one port, or one range"
