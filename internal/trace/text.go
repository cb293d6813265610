package trace

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/internal/text"
)

// Question is what an explanation is of: what happens to this packet?
type Question struct {
	Packet  rules.Packet   // as PREROUTING would see it; no source is a stranger's
	Service string         // that listens for it; "" when none does
	Any     bool           // by "*"
	Clients []netip.Prefix // of the service, that rules name
}

// Text returns an explanation for people. Of a service's tree of chains it shows the
// branches only, unless all of it is asked for.
func (q Question) Text(explained Explanation, all bool, on screen.Screen) string {
	parts := []string{q.head(), pathText(explained.Incoming, all)}
	if explained.Same() {
		parts = append(parts, rules.Output+", for connections made on the balancer itself: the same rules, from "+rules.ServiceOut+"\n")
	} else {
		parts = append(parts, pathText(explained.Local, all))
	}
	parts = append(parts, laterTexts(explained.Outcomes, "FORWARD of the mangle table", all, func(o Outcome) *Path { return o.Mangle })...)
	parts = append(parts, laterTexts(explained.Outcomes, rules.Forward, all, func(o Outcome) *Path { return o.Forward })...)
	parts = append(parts, laterTexts(explained.Outcomes, rules.Postrouting, all, func(o Outcome) *Path { return o.After })...)
	for i, part := range parts {
		heading, below, _ := strings.Cut(part, "\n")
		parts[i] = wrapped(on, on.Bold(heading)+"\n"+below)
	}
	parts = append(parts, outcomesTable(on, explained), wrapped(on, q.slotText(explained)+workText(explained)))
	return strings.Join(parts, "\n")
}

// wrapped breaks the lines of a text so that they fit.
func wrapped(on screen.Screen, lines string) string {
	var written strings.Builder
	for line := range strings.Lines(lines) {
		written.WriteString(on.Wrap(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return written.String()
}

// head says what is asked.
func (q Question) head() string {
	from, by := "any client", "any interface"
	if q.Packet.Source.IsValid() {
		from = q.Packet.Source.String()
	} else if len(q.Clients) > 0 {
		from = fmt.Sprintf("a client outside of %s (--from asks for another)", q.named())
	}
	if q.Packet.InInterface != "" {
		by = q.Packet.InInterface
	}
	who := "service " + q.Service + " listens"
	switch {
	case q.Service == "":
		who = "no service listens"
	case q.Any:
		who += ` by "*", as on each of the balancer's own addresses`
	}
	return fmt.Sprintf("%s %v, from %s, by %s: %s\n", q.Packet.Protocol,
		netip.AddrPortFrom(q.Packet.Destination, q.Packet.Port), from, by, who)
}

// named names the clients that rules name, a few of many.
func (q Question) named() string {
	const few = 8
	names := text.Strings(q.Clients)
	if len(names) > few {
		names = append(names[:few-1:few-1], fmt.Sprintf("%d more", len(names)-few+1))
	}
	return strings.Join(names, ", ")
}

// pathText returns the tree of a path through a built-in chain.
func pathText(path *Path, all bool) string {
	tree := pathTree{all: all}
	tree.path(path, 0)
	return tree.String()
}

// pathTree is an indented tree that is written.
type pathTree struct {
	strings.Builder
	all bool // also each backend of a service's tree
}

// line writes a line.
func (t *pathTree) line(depth int, format string, args ...any) {
	fmt.Fprintf(t, strings.Repeat("  ", depth)+format+"\n", args...)
}

// path writes a chain and what is below it.
func (t *pathTree) path(path *Path, depth int) {
	if len(path.Hops) == 0 {
		t.line(depth, "%s: none of %s", path.Chain, text.Plural(path.Rules, "rule"))
		return
	}
	t.line(depth, "%s", path.Chain)
	if path.Hash != nil {
		t.line(depth+1, "rule %d of %d: %s", path.Hash.Place, path.Rules, rules.Rule{Target: path.Hash.Target}.AppendText(nil))
	}
	for _, hop := range path.Hops {
		t.hop(path, hop, depth+1)
	}
}

// hop writes a rule that takes connections, and what it leads to.
func (t *pathTree) hop(path *Path, hop Hop, depth int) {
	which := fmt.Sprintf("rule %d of %d", hop.Place, path.Rules)
	if !rules.IsOwn(path.Chain) { // beside the rules of others
		which = "natspread's jump"
	}
	if part := hop.Taken.Part(); part < 1 {
		which += ", " + text.Percent(part)
	}
	rule := hop.Rule.AppendText(nil)
	switch {
	case hop.Into == nil:
		t.line(depth, "%s: %s", which, rule)
	case rules.ServiceOf(path.Chain) != "" && !rules.IsGate(path.Chain) && !t.all:
		t.line(depth, "%s: %s (%s)", which, rule, text.Plural(len(hop.Into.Targets()), "backend"))
	default:
		t.line(depth, "%s: %s", which, rule)
		t.path(hop.Into, depth)
	}
}

// laterTexts returns the paths through a later built-in chain, which is called where, of all that take
// the same path once. Where backends have paths of their own, and they are many, the first stands for all.
func laterTexts(outcomes []Outcome, where string, all bool, pathOf func(Outcome) *Path) []string {
	const few = 4
	var texts []string
	whose := map[string][]string{}
	for _, outcome := range outcomes {
		path := pathOf(outcome)
		if path == nil {
			continue
		}
		text := pathText(path, all)
		if whose[text] == nil {
			texts = append(texts, text)
		}
		whose[text] = append(whose[text], toText(outcome))
	}
	more := ""
	if len(texts) > few && !all {
		more = fmt.Sprintf("%s: %d others have paths of their own, which -v prints\n", where, len(texts)-1)
		texts = texts[:1]
	}
	for i, text := range texts {
		builtIn, _, _ := strings.Cut(where, " ")
		texts[i] = strings.Replace(text, builtIn, where+", "+whoseText(whose[text]), 1)
	}
	if more != "" {
		texts = append(texts, more)
	}
	return texts
}

// whoseText says whose path it is.
func whoseText(names []string) string {
	const few = 4
	if len(names) > few {
		return fmt.Sprintf("for %s and %d others", names[0], len(names)-1)
	}
	return "for " + strings.Join(names, ", ")
}

// outcomesTable returns the table of what happens to the connections. OUTPUT has
// columns of its own where it differs.
func outcomesTable(on screen.Screen, explained Explanation) string {
	local := !explained.Same()
	names := []string{"SHARE", rules.Prerouting}
	if local {
		names = append(names, "LOCAL SHARE", rules.Output)
	}
	table := screen.Table{Columns: []screen.Column{{Name: "BACKEND"}}, Notes: "SOURCE"}
	for _, name := range append(names, rules.Postrouting) {
		table.Columns = append(table.Columns, screen.Column{Name: name, Right: true})
	}
	for _, outcome := range explained.Outcomes {
		cells := append([]string{toText(outcome)}, flowCells(outcome.Incoming)...)
		if local {
			cells = append(cells, flowCells(outcome.Local)...)
		}
		after := "-"
		if outcome.After != nil {
			after = rulesText(outcome.After.Work())
		}
		table.Rows = append(table.Rows, screen.Row{Cells: append(cells, after), Note: sourceText(outcome)})
	}
	return on.Wrap(on.Bold("Backends: their share, and how many rules are looked at in each chain")) + "\n" + table.Text(on)
}

// flowCells returns a share and the rules that are looked at for it.
func flowCells(flow Flow) []string {
	if flow.Share.Sign() == 0 {
		return []string{"-", "-"}
	}
	return []string{text.Percent(flow.Part()), rulesText(flow)}
}

// rulesText returns how many rules the kernel looks at: 3, or 3.50 and at most 4.
func rulesText(flow Flow) string {
	if mean := decimals(flow.Mean); mean != decimals(float64(flow.Worst)) {
		return fmt.Sprintf("%s, at most %d", mean, flow.Worst)
	}
	return strconv.Itoa(flow.Worst)
}

// workText sums up the work that a connection which comes in is for the kernel, and
// says whether any was done for nothing.
func workText(explained Explanation) string {
	mean, worst := 0.0, 0
	untouched := ""
	for _, outcome := range explained.Outcomes {
		if outcome.Incoming.Share.Sign() == 0 {
			continue
		}
		if !outcome.Taken {
			untouched = "No rule claims a connection that comes in: natspread leaves it untouched.\n"
		}
		work := outcome.Work()
		mean += work.Part() * work.Mean
		worst = max(worst, work.Worst)
	}
	return untouched + fmt.Sprintf("For a new connection that comes in the kernel looks at %s of natspread's rules on average, at most at %d.\n", decimals(mean), worst)
}

// toText names a backend, or what else happens to connections.
func toText(outcome Outcome) string {
	switch {
	case !outcome.Taken:
		return "untouched"
	case outcome.Target.Kind == rules.Refuse:
		return "refused"
	}
	return netip.AddrPortFrom(outcome.Target.Address, outcome.Target.Port).String()
}

// sourceText says what POSTROUTING makes of the source: "SNAT to 192.0.2.10",
// "MASQUERADE", or kept; nothing of what is refused.
func sourceText(outcome Outcome) string {
	switch {
	case outcome.Stays:
		return "kept"
	case outcome.After == nil:
		return "-"
	}
	targets := outcome.After.Targets()
	if len(targets) == 0 || targets[0].Kind == rules.Accept {
		return "kept"
	}
	ports := ""
	if targets[0].Random {
		ports = " --random-fully"
	}
	var words []string
	for _, target := range targets {
		target.Random = false
		text := string(rules.Rule{Target: target}.AppendText(nil))
		words = append(words, strings.TrimPrefix(strings.TrimPrefix(text, "-j "), "SNAT --to-source "))
	}
	if targets[0].Kind == rules.SNAT {
		words[0] = "SNAT to " + words[0]
	}
	return strings.Join(words, ", ") + ports
}

// decimals writes a mean with two decimals, a whole number without.
func decimals(mean float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(mean, 'f', 2, 64), ".00")
}
