package walk

import (
	"net/netip"
	"slices"
)

// Bounds of a walk. The kernel takes no circle of chains, and no rules set by hand come near them;
// a text that it did not print may.
const (
	mostDepth = 32
	mostRules = 1 << 18
)

// Outcome is where the connections of one packet end.
type Outcome struct {
	Ends []End
	// Doubt are the rules that may take some, and nobody here can tell.
	Doubt []*Rule
	// Sources and Links are the clients and interfaces that rules on the way ask for, while all else
	// that these rules ask for is true: others may end elsewhere.
	Sources []netip.Prefix
	Links   []string
	Endless bool // it was given up: chains that lead to one another too often
}

// Endless tells whether the chains of a table lead to one another in a circle, or so often that a walk would
// have to be given up. No kernel takes a circle.
func (s *Ruleset) Endless(table string) bool {
	known := map[string]int{}
	for _, name := range s.order[table] {
		if s.count(table, name, known) > mostRules {
			return true
		}
	}
	return false
}

// count returns how many rules a packet may meet in a chain and those below it, at most. In a circle that is
// more than any walk follows.
func (s *Ruleset) count(table, name string, known map[string]int) int {
	chain := s.tables[table][name]
	if chain == nil {
		return 0
	}
	if n, counted := known[name]; counted {
		return n
	}
	known[name] = mostRules + 1 // until it is counted: whoever comes back here meanwhile is in a circle
	n := 0
	for _, rule := range chain.Rules {
		if n++; rule.Target.Kind == Jumps && n <= mostRules {
			n += s.count(table, rule.Target.Name, known)
		}
	}
	known[name] = n
	return n
}

// End is a part of the connections.
type End struct {
	Rule *Rule // that took it; nil where none did, and the chain's policy is what is left
	Part float64
}

// Taken returns the ends of a kind.
func (o Outcome) Taken(kind Kind) []End {
	return slices.DeleteFunc(slices.Clone(o.Ends), func(e End) bool { return e.Rule == nil || e.Rule.Target.Kind != kind })
}

// Send sends a packet through a built-in chain.
func (s *Ruleset) Send(table, chain string, p Packet) Outcome {
	w := walker{set: s, table: table, packet: &p, counters: map[string]float64{}, sources: map[netip.Prefix]bool{}}
	if left := w.chain(chain, 1, 0); left > tiny {
		w.out.Ends = append(w.out.Ends, End{nil, left})
	}
	return w.out
}

// tiny is the least part that counts: a step of the kernel's random numbers is larger.
const tiny = 1e-12

// walker holds what does not change on the way.
type walker struct {
	set      *Ruleset
	table    string
	packet   *Packet
	counters map[string]float64    // what reached the first rule of a counter that several share
	sources  map[netip.Prefix]bool // that are among those of out
	steps    int
	out      Outcome
}

// chain sends a part of the connections through a chain, and returns what goes back to the one before.
func (w *walker) chain(name string, in float64, depth int) (back float64) {
	chain := w.set.tables[w.table][name]
	if chain == nil {
		return in
	}
	for _, rule := range chain.Rules {
		if in <= tiny {
			break
		}
		if w.steps++; w.steps > mostRules || depth > mostDepth {
			w.out.Endless = true
			break
		}
		if rule.Target.Kind == Passes {
			continue
		}
		w.ask(rule)
		switch rule.meets(w.packet) {
		case no:
			continue
		case perhaps:
			w.doubt(rule)
			continue
		}
		taken := w.part(rule, in)
		in -= taken
		switch rule.Target.Kind {
		case Jumps:
			rest := w.chain(rule.Target.Name, taken, depth+1)
			if rule.Target.Goto {
				back += rest
			} else {
				in += rest
			}
		case Returns:
			if depth > 0 {
				back += taken
			} else {
				w.out.Ends = append(w.out.Ends, End{rule, taken})
			}
		default:
			if taken > tiny {
				w.out.Ends = append(w.out.Ends, End{rule, taken})
			}
		}
	}
	return back + in
}

// part returns how much of what reaches a rule it takes.
func (w *walker) part(rule *Rule, in float64) float64 {
	if rule.Share.Mode != Counter {
		return in * rule.Share.Part
	}
	first, known := w.counters[rule.Share.Counter]
	if !known {
		first = in
		w.counters[rule.Share.Counter] = in
	}
	return min(in, first*rule.Share.Part)
}

// doubt notes a rule that natspread cannot judge. One that leads to a chain in which nothing ends does
// no harm.
func (w *walker) doubt(rule *Rule) {
	if !slices.Contains(w.out.Doubt, rule) && (rule.Target.Kind != Jumps || w.ends(rule.Target.Name, 0)) {
		w.out.Doubt = append(w.out.Doubt, rule)
	}
}

// ends tells whether anything ends in a chain, or behind it.
func (w *walker) ends(name string, depth int) bool {
	chain := w.set.tables[w.table][name]
	if w.steps++; chain == nil || depth > mostDepth || w.steps > mostRules {
		return false
	}
	return slices.ContainsFunc(chain.Rules, func(r *Rule) bool {
		if r.Target.Kind == Jumps {
			return w.ends(r.Target.Name, depth+1)
		}
		return r.Target.Kind != Passes && r.Target.Kind != Returns
	})
}

// ask notes the clients and interfaces that a rule asks for, if the packet meets all else of it.
func (w *walker) ask(rule *Rule) {
	named := len(rule.Asks.Source) > 0 || rule.Asks.In != "" || len(rule.Asks.NotLinks) > 0
	if !named || w.packet.Made {
		return
	}
	p := *w.packet
	for _, source := range append([]netip.Prefix{{}}, rule.Asks.Source...) {
		p.Source = source.Addr()
		for _, link := range append([]string{"", rule.Asks.In}, rule.Asks.NotLinks...) {
			if p.In = link; rule.meets(&p) == no {
				continue
			}
			for _, one := range rule.Asks.Source {
				if !w.sources[one] {
					w.sources[one] = true
					w.out.Sources = append(w.out.Sources, one)
				}
			}
			for _, one := range append([]string{rule.Asks.In}, rule.Asks.NotLinks...) {
				if one != "" && !slices.Contains(w.out.Links, one) {
					w.out.Links = append(w.out.Links, one)
				}
			}
			return
		}
	}
}
