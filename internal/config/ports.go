package config

import (
	"cmp"
	"fmt"
	"slices"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/field"
	"natspread/internal/config/meant"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// The bounds of a service that maps ports: each pair is a rule in the chain of each backend, and
// each backend has a chain, one deeper than the pick among so many.
const (
	MaxPairs          = 16
	maxMappedBackends = 1024 // also the turns of all ports together
)

// portsExample is how ports are written.
const portsExample = "ports = { 80 = 8080, 443 = 8443 }"

// setPorts reads a table of ports.
func setPorts(d *draft, f field.Field) {
	if f.Value.Kind != source.InlineTable {
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", not a table", Fix: cmp.Or(endpoint.PublishedFix(f.Value), meant.PortFix(d.Pairs, source.Pair{Name: f.Name, Value: f.Value}))})
		return
	}
	switch n := len(f.Value.Pairs); {
	case n == 0:
		f.Refuse(f.Value, value.Fault{Cause: "there is no port in it"})
	case n > MaxPairs:
		f.Refuse(f.Value, value.Fault{Cause: fmt.Sprintf("it has %d ports, and %d are the most", n, MaxPairs), Fix: "natspread can't take more: write several services with one pool"})
		return
	}
	for _, p := range f.Value.Pairs {
		pair, why := endpoint.ParsePair(p)
		if i := slices.IndexFunc(d.ports, func(other endpoint.Pair) bool { return other.Asked.Overlaps(pair.Asked) }); why == nil && i >= 0 {
			why = &value.Fault{Cause: "it is there twice"}
			if d.ports[i].Asked != pair.Asked {
				why.Cause = "it is in " + d.ports[i].Asked.String() + ", too"
			}
		}
		if why != nil {
			f.Source.Refuse(p.At, cmp.Or(why.Fix, pairsFix(f)), "cannot use port %q: %s", source.FirstBytes(p.Name), why.Cause)
			continue
		}
		d.ports = append(d.ports, pair)
	}
}

// maps tells whether the service has a table of ports, good or not, or means one. It need not have
// been read yet.
func (d *draft) maps() bool {
	ports := d.Value("ports")
	return ports.Kind == source.InlineTable || endpoint.PublishedFix(ports) != ""
}

// pairsFix is the fix that writes what is a port of some pairs, each once.
func pairsFix(f field.Field) string {
	if good := endpoint.MeantPairs(f.Value.Pairs); good != "" {
		return "write ports = " + good
	}
	return "write " + portsExample
}

// mapPorts gives each listen address all ports. Without a good pair it has none.
func (d *draft) mapPorts() {
	var all []field.Located[Listen]
	for _, l := range d.listen {
		for _, pair := range d.ports {
			l.Val.Ports, l.Val.To = pair.Asked, pair.To.First
			all = append(all, l)
		}
	}
	d.listen = all
}

// checkPorts files what does not go with ports, or with several ranges that shift.
func (s inspection) checkPorts(d *draft) {
	pairs, what := len(d.ports), "with ports"
	switch {
	case d.maps():
		s.checkPortless(d)
	case d.ranged():
		if pairs, what = len(PairsToTell(values(d.listen))), "with ranges that shift"; pairs == 0 {
			return
		}
	default:
		return
	}
	turns, _ := Turns(values(d.backends))
	turns *= pairs
	if d.algorithm.Val == RoundRobin && turns > maxMappedBackends {
		s.Refuse(d.algorithm.At, `write algorithm = "random", or smaller weights`, "cannot use algorithm %s: the weights and ports make %d turns, and %s %d are the most", s.Show(d.algorithm.At), turns, what, maxMappedBackends)
	}
	if n := len(d.backends); n > maxMappedBackends {
		s.Refuse(d.backends[maxMappedBackends].At, "natspread can't take more: write a service for each port", "cannot use backend %s: %s a service has at most %d backends", s.Show(d.backends[maxMappedBackends].At), what, maxMappedBackends)
	}
}

// checkPortless files backends of a service that maps ports which have a port of their own.
func (s inspection) checkPortless(d *draft) {
	for _, b := range d.backends {
		if b.Val.Port != 0 {
			s.Refuse(b.At, d.writeBackend(b, Ports{}), "cannot use backend %s: with the key ports it has no port of its own", s.Show(b.At))
		}
	}
}
