package config

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// each returns what the strings of a list mean, of which each may mean several values, with the
// place of their string.
func each[T any](f field.Field, parse func(string) ([]T, *value.Fault)) []field.Located[T] {
	var all []field.Located[T]
	for _, list := range field.Many(f, f.OneOrMore(), parse) {
		for _, one := range list.Val {
			all = append(all, field.Located[T]{Val: one, At: list.At})
		}
	}
	return all
}

// setProtocols reads protocols, in letters of any size, and "tcp+udp" for two.
func setProtocols(d *draft, f field.Field) {
	word := value.OneOf(habits.Protocols, TCP, UDP, SCTP)
	d.protocols = each(f, func(text string) ([]Protocol, *value.Fault) {
		var all []Protocol
		for part := range strings.SplitSeq(strings.ToLower(text), "+") {
			protocol, why := word(part)
			if why != nil {
				_, why = word(text)
				return nil, why
			}
			all = append(all, protocol)
		}
		return all, nil
	})
}

// setListen reads the listen addresses, each with a list of ports, and without any where ports has
// them.
func setListen(d *draft, f field.Field) {
	d.listen = each(f, func(text string) ([]Listen, *value.Fault) {
		if d.maps() {
			addr, why := endpoint.ParseHost(text)
			return []Listen{{Addr: addr}}, why
		}
		list, why := endpoint.ParseListen(text)
		all := make([]Listen, len(list))
		for i, l := range list {
			all[i] = Listen{Addr: l.Addr, Ports: l.Ports}
		}
		return all, why
	})
}

// repeatFix is the fix for a value that a list has already, first at a place: the others of its
// string, if that means several.
func repeatFix[T comparable](list []field.Located[T], l field.Located[T], first source.Span) string {
	var left []string
	for _, other := range list {
		if other.At == l.At && (other.Val != l.Val || first == l.At && !slices.Contains(left, fmt.Sprint(l.Val))) {
			left = append(left, fmt.Sprint(other.Val))
		}
	}
	if left == nil {
		return "take it out"
	}
	return "write " + source.Quote(strings.Join(left, "+"))
}

// setBackendPort reads the port of a backend that does not stand behind its address, or a range of
// ports.
func setBackendPort(b *backendDraft, f field.Field) {
	ports, why := endpoint.ParsePorts(f.Value.Text)
	switch kind := ports.Kind(); {
	case why == nil && f.Value.Kind == kind:
		b.port = field.Located[Ports]{Val: ports, At: f.Value.At}
	case why == nil:
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", not " + string(kind), Fix: "write port = " + ports.TOML()})
	default:
		f.Refuse(f.Value, value.Fault{Cause: why.Cause, Fix: "write port = 80, with the number of the port"})
	}
}

// takePort gives a backend the port that stands in a key of its own.
func (b *backendDraft) takePort(f field.Field) {
	address := &b.address.Val
	switch {
	case b.port.At == source.Span{} || !address.Addr.IsValid():
	case address.Port != 0:
		f.Source.Refuse(b.port.At, "take port out, or write address = "+source.Quote(address.Addr.String()), "cannot use port %s: the address has %s already", f.Show(b.port.At), address.Ports())
	default:
		*address = address.withPorts(b.port.Val)
	}
}

// writeBackend is the fix that gives a backend other ports, the zero value for none, where it has them.
func (d *draft) writeBackend(b field.Located[Backend], ports Ports) string {
	switch keyed := d.portKeys[b.At]; {
	case keyed && ports == Ports{}:
		return "take port out"
	case keyed:
		return "write port = " + ports.TOML()
	}
	return "write " + source.Quote(b.Val.withPorts(ports).String())
}
