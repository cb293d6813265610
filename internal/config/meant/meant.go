package meant

import (
	"slices"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/suggest"
)

// Keys are the names of the keys of a service, a backend and a check, and the protocols there are.
type Keys struct{ Service, Backend, Check, Protocols []string }

// OfService returns the key that was meant by one that a service does not have, and the fix; "" for
// each that is not known.
func (k Keys) OfService(s *source.Source, pairs []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	whole := s.Typed(p.Value.At)
	of, rest, dotted := strings.Cut(name, ".")
	on, isSwitch := switched(p.Value)
	key, fix = known(habits.ServiceKeys, name)
	switch {
	case dotted && of == "check":
		return of, "write check = { " + rest + " = " + whole + " }"
	case dotted && slices.Contains(k.Service, of):
		return of, "write " + of + " = " + whole
	case name == "mode" && k.isProtocol(p.Value.Text):
		return renamed("protocol")
	case name == "mode":
		return renamed("algorithm")
	case name == "port":
		return "listen", PortFix(pairs, p)
	case isSwitch && key == "snat" && on:
		return key, `write snat = "masquerade"`
	case isSwitch && key == "snat":
		return key, `write snat = "none"`
	case isSwitch && !on && fix != "" && !strings.HasPrefix(fix, "natspread can't"):
		return "", "take " + p.Name + " out"
	case isSwitch && key == "check":
		return key, `write check = "tcp"`
	case fix != "":
		return key, fix
	case slices.Contains(k.Check, name):
		return "", checkFix(s, pairs, p)
	case slices.Contains(k.Backend, name):
		return "", "take " + p.Name + " out; a backend has it: { address = \"10.0.0.1:80\", " + p.Name + " = " + whole + " }"
	}
	return "", ""
}

// known returns the key that other programs call by a name, or "" for one that is none of
// natspread's, and the fix.
func known(list []suggest.Habit, name string) (key, fix string) {
	habit, found := suggest.Known(list, name)
	if !found || strings.Contains(habit.Instead, " ") {
		return "", habit.Instead
	}
	return renamed(habit.Instead)
}

// renamed returns a key, and the fix that gives another one its name.
func renamed(key string) (meant, fix string) { return key, "did you mean " + key + "?" }

// switched tells whether a value is one of the words for true and false, and which.
func switched(v source.Value) (on, isSwitch bool) {
	on, isSwitch = field.Switch(v.Text)
	return on, isSwitch && v.Kind != source.Integer
}

// isProtocol tells whether a text is a protocol, or what runs over one.
func (k Keys) isProtocol(text string) bool {
	_, found := suggest.Known(habits.Protocols, text)
	return found || slices.Contains(k.Protocols, text)
}

// PortFix is the fix for a port that stands in a key of its own: behind the listen address.
func PortFix(pairs []source.Pair, p source.Pair) string {
	host := "*"
	if listen := source.ValueOf(pairs, "listen"); listen.Kind == source.String {
		e, _ := value.SplitEndpoint(listen.Text)
		host = e.Host
	}
	var all []string
	for _, item := range p.Value.Items {
		all = append(all, value.Join(host, item.Text))
	}
	if all == nil {
		all = []string{value.Join(host, strings.Trim(p.Value.Text, " "))}
	}
	return "write listen = " + source.QuoteList(all) + " and take " + p.Name + " out"
}
