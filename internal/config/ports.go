package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/meant"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// The bounds of a service that maps ports: each pair is a rule in the chain of each backend, and
// each backend has a chain, one deeper than the pick among so many.
const (
	maxPairs          = 16
	maxMappedBackends = 1024 // also the turns of all ports together
)

// portsExample is how ports are written.
const portsExample = "ports = { 80 = 8080, 443 = 8443 }"

// portPair is a port that clients ask for, and the one where the backends answer.
type portPair struct{ asked, to uint16 }

// setPorts reads a table of ports.
func setPorts(d *draft, f field.Field) {
	if f.Value.Kind != source.InlineTable {
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", not a table", Fix: meant.PortFix(d.Pairs, source.Pair{Name: f.Name, Value: f.Value})})
		return
	}
	switch n := len(f.Value.Pairs); {
	case n == 0:
		f.Refuse(f.Value, value.Fault{Cause: "there is no port in it"})
	case n > maxPairs:
		f.Refuse(f.Value, value.Fault{Cause: fmt.Sprintf("it has %d ports, and %d are the most", n, maxPairs), Fix: "natspread can't take more: write several services with one pool"})
		return
	}
	for _, p := range f.Value.Pairs {
		pair, why := parsePair(p)
		if why == nil && slices.ContainsFunc(d.ports, func(other portPair) bool { return other.asked == pair.asked }) {
			why = &value.Fault{Cause: "it is there twice"}
		}
		if why != nil {
			f.Source.Refuse(p.At, cmp.Or(why.Fix, pairsFix(f.Value.Pairs)), "cannot use port %q: %s", source.FirstBytes(p.Name), why.Cause)
			continue
		}
		d.ports = append(d.ports, pair)
	}
}

// parsePair reads 80 = 8080.
func parsePair(p source.Pair) (portPair, *value.Fault) {
	asked, isPort := value.ParsePort(p.Name)
	to, isPort2 := value.ParsePort(p.Value.Text)
	switch {
	case strings.Contains(p.Name, "-") || strings.Contains(p.Value.Text, "-") && p.Value.Kind == source.String:
		return portPair{}, &value.Fault{Cause: "it is a range", Fix: "natspread can't map a range of ports: write each port"}
	case !isPort:
		return portPair{}, &value.Fault{Cause: "it is not a number from 1 to 65535"}
	case !isPort2 || p.Value.Kind != source.Integer:
		return portPair{}, &value.Fault{Cause: fmt.Sprintf("%q is not a number from 1 to 65535", source.FirstBytes(p.Value.Text))}
	}
	return portPair{asked, to}, nil
}

// pairsFix is the fix that writes what is a port of some pairs, each once.
func pairsFix(pairs []source.Pair) string {
	var good []string
	known := map[uint16]bool{}
	for _, p := range pairs {
		asked, isPort := value.ParsePort(strings.TrimSpace(p.Name))
		to, isPort2 := value.ParsePort(strings.TrimSpace(p.Value.Text))
		if isPort && isPort2 && !known[asked] {
			known[asked] = true
			good = append(good, fmt.Sprintf("%d = %d", asked, to))
		}
	}
	if len(good) == 0 {
		return "write " + portsExample
	}
	return "write ports = { " + strings.Join(good, ", ") + " }"
}

// maps tells whether the service has a table of ports, good or not. It need not have been read yet.
func (d *draft) maps() bool { return d.Value("ports").Kind == source.InlineTable }

// setListen reads the listen addresses, which have no ports where ports has them.
func setListen(d *draft, f field.Field) {
	parse := parseListen
	if d.maps() {
		parse = parseListenHost
	}
	d.listen = field.Many(f, f.OneOrMore(), parse)
}

// parseListenHost reads an address or "*" without ports.
func parseListenHost(text string) (Listen, *value.Fault) {
	if text == "*" {
		return Listen{}, nil
	}
	if l, why := parseListen(text); why == nil {
		address := "*"
		if !l.Any() {
			address = l.Addr.String()
		}
		return Listen{}, &value.Fault{Cause: "with the key ports it has no port of its own", Fix: "write " + source.Quote(address)}
	}
	e, why := value.SplitEndpoint(text)
	if why != nil {
		return Listen{}, why
	}
	var l Listen
	l.Addr, why = value.ParseUnicast(e.Host)
	return l, why
}

// mapPorts gives each listen address all ports. Without a good pair it has none.
func (d *draft) mapPorts() {
	var all []field.Located[Listen]
	for _, l := range d.listen {
		for _, pair := range d.ports {
			l.Val.Ports, l.Val.To = Ports{pair.asked, pair.asked}, pair.to
			all = append(all, l)
		}
	}
	d.listen = all
}

// checkPorts files what does not go with ports.
func (s inspection) checkPorts(d *draft) {
	if !d.maps() {
		return
	}
	for _, b := range d.backends {
		if b.Val.Port != 0 {
			s.Refuse(b.At, "write "+source.Quote(b.Val.Addr.String()), "cannot use backend %s: with the key ports it has no port of its own", s.Show(b.At))
		}
	}
	turns, _ := Turns(values(d.backends))
	turns *= len(d.ports)
	if d.algorithm.Val == RoundRobin && turns > maxMappedBackends {
		s.Refuse(d.algorithm.At, `write algorithm = "random", or smaller weights`, "cannot use algorithm %s: the weights and ports make %d turns, and with ports %d are the most", s.Show(d.algorithm.At), turns, maxMappedBackends)
	}
	if n := len(d.backends); n > maxMappedBackends {
		s.Refuse(d.backends[maxMappedBackends].At, "natspread can't take more: write a service for each port", "cannot use backend %s: with ports a service has at most %d backends", s.Show(d.backends[maxMappedBackends].At), maxMappedBackends)
	}
}
