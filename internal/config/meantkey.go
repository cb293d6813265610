package config

import (
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/suggest"
)

// meantServiceKey returns the key that was meant by one that a service does not have, and the fix;
// "" for each that is not known.
func meantServiceKey(s *source.Source, pairs []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	whole := s.Typed(p.Value.At)
	of, rest, dotted := strings.Cut(name, ".")
	habit, _ := suggest.Known(habits.ServiceKeys, name)
	_, ofCheck := field.Find(checkKeys, name)
	_, ofBackend := field.Find(backendKeys, name)
	meant, said := switched(p.Value)
	switch {
	case dotted && of == "check":
		return "check", "write check = { " + rest + " = " + whole + " }"
	case dotted && hasKey(serviceKeys, of):
		return of, "write " + of + " = " + whole
	case name == "mode" && isProtocol(p.Value.Text):
		return renamed("protocol")
	case name == "mode":
		return renamed("algorithm")
	case name == "port":
		return "listen", portKeyFix(pairs, p)
	case said && !meant && habit.Instead != "snat" && habit.Instead != "" && !strings.HasPrefix(habit.Instead, "natspread can't"):
		return "", "take " + p.Name + " out"
	case said && habit.Instead == "check":
		return "check", `write check = "tcp"`
	case said && habit.Instead == "snat":
		return "snat", "write snat = " + source.Quote(map[bool]string{true: "masquerade", false: "none"}[meant])
	case habit.Instead != "" && habit.Instead != "natspread can't" && !strings.Contains(habit.Instead, " "):
		return renamed(habit.Instead)
	case habit.Instead != "":
		return "", habit.Instead
	case ofCheck:
		return "", checkKeyFix(s, pairs, p)
	case ofBackend:
		return "", "take " + p.Name + " out; a backend has it: { address = \"10.0.0.1:80\", " + p.Name + " = " + whole + " }"
	}
	return "", ""
}

// renamed returns a key, and the fix that gives another one its name.
func renamed(key string) (meant, fix string) { return key, "did you mean " + key + "?" }

// switched tells whether a value is one of the words for true and false, and which.
func switched(v source.Value) (meant, said bool) {
	meant, said = field.Switch(v.Text)
	return meant, said && v.Kind != source.Integer
}

// isProtocol tells whether a text is a protocol, or what runs over one.
func isProtocol(text string) bool {
	_, why := value.OneOf(habits.Protocols, TCP, UDP, SCTP)(text)
	_, found := suggest.Known(habits.Protocols, text)
	return why == nil || found
}

// hasKey tells whether a key is one of some.
func hasKey[T any](keys []field.Key[T], name string) bool {
	_, found := field.Find(keys, name)
	return found
}

// portKeyFix is the fix for a port that stands in a key of its own: behind the listen address.
func portKeyFix(pairs []source.Pair, p source.Pair) string {
	host := "*"
	if listen := source.ValueOf(pairs, "listen"); listen.Kind == source.String {
		e, _ := value.SplitEndpoint(listen.Text)
		host = e.Host
	}
	ports := strings.Trim(p.Value.Text, " ")
	var all []string
	for _, item := range p.Value.Items {
		all = append(all, value.Join(host, item.Text))
	}
	if all == nil {
		all = []string{value.Join(host, ports)}
	}
	return "write listen = " + source.QuoteList(all) + " and take " + p.Name + " out"
}

// checkKeyFix is the fix for a key of the check that stands in the service: into the check with it.
func checkKeyFix(s *source.Source, pairs []source.Pair, p source.Pair) string {
	check := source.ValueOf(pairs, "check")
	own := p.Name + " = " + s.Typed(p.Value.At)
	switch kind := source.Quote(string(likelyTypeOf(pairs))); {
	case check.Kind == source.String:
		return "write check = { type = " + s.Typed(check.At) + ", " + own + " } and take " + p.Name + " out"
	case check.Kind == source.InlineTable && s.Text[check.At.Start] == '{':
		inside := strings.Trim(s.Text[check.At.Start+1:check.At.End-1], " \t")
		return "write check = { " + inside + ", " + own + " } and take " + p.Name + " out"
	case check.Kind == source.InlineTable:
		return "write it below [service.check]"
	default:
		return "write check = { type = " + kind + ", " + own + " }"
	}
}

// likelyTypeOf returns the type of a check whose keys stand in the service.
func likelyTypeOf(pairs []source.Pair) CheckType {
	c := checkDraft{}
	for _, p := range pairs {
		if hasKey(checkKeys, p.Name) {
			c.keys = c.keys.With(p.Name, p.At)
		}
	}
	return c.likelyType()
}

// meantBackendKey is meantServiceKey for a key of a backend.
func meantBackendKey(s *source.Source, pairs []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	habit, _ := suggest.Known(habits.BackendKeys, name)
	meant, said := switched(p.Value)
	text := strings.ToLower(p.Value.Text)
	address := source.ValueOf(pairs, "address")
	switch {
	case name == "port" && address.Kind == source.String:
		e, _ := value.SplitEndpoint(address.Text)
		return "", "write address = " + source.Quote(value.Join(e.Host, strings.Trim(p.Value.Text, " "))) + " and take port out"
	case (name == "state" || name == "status") && (text == "up" || text == "on" || text == "ready" || text == "active" || text == "enabled"):
		return "", "take " + p.Name + " out"
	case name == "state", name == "status", (name == "enabled" || name == "active" || name == "up") && said && !meant:
		return "drain", "write drain = true"
	case name == "enabled", name == "active", name == "up", said && !meant && habit.Instead == "drain":
		return "", "take " + p.Name + " out"
	case habit.Instead == "drain":
		return "drain", "write drain = true"
	case habit.Instead != "" && !strings.Contains(habit.Instead, " "):
		return renamed(habit.Instead)
	}
	return "", habit.Instead
}

// meantCheckKey is meantServiceKey for a key of a check.
func meantCheckKey(_ *source.Source, _ []source.Pair, p source.Pair) (key, fix string) {
	name := strings.ToLower(p.Name)
	meant, said := switched(p.Value)
	if strings.HasSuffix(name, "verify") && !strings.HasPrefix(name, "no") && !strings.Contains(name, "skip") && said {
		if meant {
			return "", "take " + p.Name + " out"
		}
		return "insecure", "write insecure = true"
	}
	habit, _ := suggest.Known(habits.CheckKeys, name)
	if habit.Instead != "" && !strings.Contains(habit.Instead, " ") {
		return renamed(habit.Instead)
	}
	return "", habit.Instead
}
