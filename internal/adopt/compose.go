package adopt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// Service is a service that was written.
type Service struct {
	Name      string
	Listen    []string
	Protocols []string
	Targets   []Target
	Left      float64 // the part that no rule took
	Slip      string  // the mistake in the rules, by name; "" for none
	Notes     []string
	Rules     []*walk.Rule // that it was made from

	draft *draft
}

// Target is a backend, and what the rules gave it.
type Target struct {
	To     string
	Share  float64 // of all connections, by the rules
	Meant  float64 // with a Slip: what was meant; else the same
	Weight int     // in the config
	Config float64 // the share that the weight makes
}

// write composes the config of all drafts that a config can say, with their questions answered.
func (r *Result) write(drafts []*draft, choices Choices) {
	var texts []string
	for _, d := range drafts {
		text, whole := r.compose(d)
		if !whole {
			r.open = append(r.open, d)
			continue
		}
		if _, err := config.Parse("adopt", []byte(text)); err != nil {
			r.refuse(reason(err), d.list...)
			continue
		}
		r.Services = append(r.Services, d.service())
		texts = append(texts, text)
	}
	r.keepApart(fmt.Sprintf("%s%s from the rules that this host had.\n", madeBy, choices.Flags()), texts)
}

// keepApart joins the texts of services behind a first line, without those that do not go with the ones before.
func (r *Result) keepApart(head string, texts []string) {
	if len(texts) == 0 {
		return
	}
	whole := head + "\n" + strings.Join(texts, "\n")
	cfg, err := config.Parse("adopt", []byte(whole))
	if err == nil {
		r.Text, r.Config = []byte(whole), cfg
		return
	}
	var kept []Service
	whole = head
	for i, service := range r.Services {
		more, err := config.Parse("adopt", []byte(whole+"\n"+texts[i]))
		if err != nil {
			r.refuse(reason(err), service.Rules...)
			continue
		}
		whole += "\n" + texts[i]
		kept = append(kept, service)
		r.Text, r.Config = []byte(whole), more
	}
	r.Services = kept
}

// reason returns why a config cannot say it: the first error without its place.
func reason(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if _, rest, found := strings.Cut(first, ": "); found {
		first = rest
	}
	return "a config can't say it: " + first
}

// compose returns a service as the config has it, or false where a question is open.
func (r *Result) compose(d *draft) (written string, whole bool) {
	if d.choices.Shares != Kept {
		d.slip = findSlip(d.spread)
	}
	whole = true
	ask := func(flag, question string, answers ...string) {
		r.Questions = append(r.Questions, Question{flag, d.name, question, answers})
		whole = false
	}
	choices := d.choices
	switch {
	case d.forHost && d.onHost() && choices.hostAddress() == "":
		ask("listen", needsAddress, anAddress)
	case !d.anywhere:
	case len(choices.Listen) == 0:
		ask("listen", "its rules have no -d, so they take each connection to this port, also one that this host only forwards to another host; * takes what comes to an address of this host", "*", anAddress)
	case len(d.listens()) == 0:
		ask("listen", fmt.Sprintf("its rules are %v and have no -d, and no address that was chosen is %v", d.family, d.family), anAddress)
	case choices.hostAddress() == "" && d.onHost():
		ask("listen", needsAddress, anAddress)
	}
	answers := []string{Meant, Made}
	if d.left > lost {
		answers = append(answers, Kept)
	}
	switch {
	case choices.Shares != "":
	case d.slip.meant != nil:
		question := fmt.Sprintf("%s: meant are %s, made are %s%s", d.slip.name, percents(d.slip.meant), percents(d.made()), d.reaches())
		if d.left > lost {
			question += ": made gives these to the backends, kept lets them stay here"
		}
		ask("shares", question, answers...)
	case d.left > lost:
		ask("shares", fmt.Sprintf("%s of the connections reach this host, or go where they are routed, as no rule takes them: made gives them to the backends, kept lets them stay here", text.Percent(d.left)), Made, Kept)
	}
	if d.unsure {
		ask("snat", "a rule with -o rewrites the source of connections that leave by that interface, and natspread can't tell whether the backends are there", masquerade, keepsSource, anAddress)
	}
	if !whole {
		return "", false
	}
	return d.text(), true
}

// needsAddress is a question of a service that has this host as a backend.
const needsAddress = "its rules lead to this host, and a backend needs an address: one of this host's, where its server listens"

// reaches says which part no rule takes.
func (d *draft) reaches() string {
	if d.left <= lost {
		return ""
	}
	return fmt.Sprintf(", and %s reach this host, or go where they are routed", text.Percent(d.left))
}

// made returns the shares of all connections.
func (d *draft) made() []float64 {
	var list []float64
	for _, p := range d.parts {
		list = append(list, p.share)
	}
	return list
}

// percents writes shares.
func percents(shares []float64) string {
	var words []string
	for _, share := range shares {
		words = append(words, text.Percent(share))
	}
	return strings.Join(words, ", ")
}

// text writes the service.
func (d *draft) text() string {
	var b strings.Builder
	d.comments(&b)
	key := func(name, value string) { fmt.Fprintf(&b, "%-9s = %s\n", name, value) }
	b.WriteString("[[service]]\n")
	key("name", quote(d.name))
	key("listen", list(d.listens()))
	if d.maps != nil {
		var pairs []string
		for _, p := range d.maps {
			pairs = append(pairs, fmt.Sprintf("%d = %d", p.from, p.to))
		}
		key("ports", "{ "+strings.Join(pairs, ", ")+" }")
	}
	if !slices.Equal(d.protocols, []string{"tcp"}) {
		key("protocol", list(d.protocols))
	}
	if d.snat != "" && d.snat != masquerade {
		key("snat", list(strings.Fields(d.snat)))
	}
	if d.fully {
		key("snat_ports", quote(string(config.RandomPorts)))
	}
	if len(d.hairpin) > 0 {
		key("hairpin", array(text.Strings(d.hairpin)))
	}
	if d.turns {
		key("algorithm", quote(string(config.RoundRobin)))
	}
	d.writeClients(key)
	if !d.local {
		key("local", "false")
	}
	if len(d.accepted) > 0 {
		key("forward", quote(string(config.Accept)))
	}
	d.writeBackends(&b)
	return b.String()
}

// writeClients writes for whom the service is.
func (d *draft) writeClients(key func(name, value string)) {
	if len(d.links) > 0 {
		key("interface", list(d.links))
	}
	if len(d.allow) > 0 {
		key("allow", array(prefixTexts(d.allow)))
	}
	if len(d.deny) > 0 {
		key("deny", array(prefixTexts(d.deny)))
	}
	if len(d.allow)+len(d.deny) > 0 {
		key("refused", quote(string(config.ToHost)))
	}
}

// writeBackends writes the backends, each on a line where one has a weight.
func (d *draft) writeBackends(b *strings.Builder) {
	d.weights = weigh(d.wanted(d.choices.Shares))
	plain := true
	for _, weight := range d.weights {
		plain = plain && weight == d.weights[0]
	}
	var items []string
	for i, p := range d.parts {
		to := d.backend(p.target)
		if plain {
			items = append(items, quote(to))
			d.weights[i] = 1
			continue
		}
		items = append(items, fmt.Sprintf("\n  { address = %s, weight = %d },", quote(to), d.weights[i]))
	}
	if plain {
		fmt.Fprintf(b, "%-9s = [%s]\n", "backends", strings.Join(items, ", "))
		return
	}
	fmt.Fprintf(b, "%-9s = [%s\n]\n", "backends", strings.Join(items, ""))
}

// backend writes where a target leads. One without an address is this host, at the address that its
// connections ask for, or at the one that was chosen.
func (d *draft) backend(target walk.Target) string {
	if target.Base != 0 {
		target.Ports, target.Base = d.shifted(target), 0
	}
	if d.maps != nil {
		target.Ports = rules.Ports{}
	}
	if !target.Address.IsValid() {
		target.Address = d.cells[0].destination
	}
	text := target.Backend()
	if !target.Address.IsValid() {
		return strings.Replace(text, "this host", d.choices.hostAddress(), 1)
	}
	return text
}

// shifted returns the ports of a backend whose ports are others than those that clients ask for, by the
// same distance.
func (d *draft) shifted(target walk.Target) rules.Ports {
	asked := d.cells[0].ports
	for _, c := range d.cells {
		asked = rules.Ports{First: min(asked.First, c.ports.First), Last: max(asked.Last, c.ports.Last)}
	}
	distance := target.Ports.First - target.Base
	return rules.Ports{First: asked.First + distance, Last: asked.Last + distance}
}

// onHost tells whether some rules lead to this host without an address.
func (d *draft) onHost() bool {
	return slices.ContainsFunc(d.parts, func(p part) bool { return !p.target.Address.IsValid() })
}

// hostAddress returns an address of this host that was chosen; "" where none was.
func (c Choices) hostAddress() string {
	for _, one := range c.Listen {
		if one != "*" {
			return bracketed(one)
		}
	}
	return ""
}

// listens returns the listen addresses, with the choice for those that name none.
func (d *draft) listens() []string {
	var all []string
	for _, one := range d.listen {
		rest, anywhere := strings.CutPrefix(one, "*")
		if !anywhere {
			all = append(all, one)
			continue
		}
		if d.forHost || slices.Contains(d.choices.Listen, "*") {
			all = append(all, one)
			continue
		}
		for _, addr := range d.choices.Listen {
			if strings.Contains(addr, ":") == (d.family == rules.IPv6) {
				all = append(all, bracketed(addr)+rest)
			}
		}
	}
	return all
}

// comments writes what was not the same, or had to be chosen.
func (d *draft) comments(b *strings.Builder) {
	if d.slip.meant != nil {
		d.notes = append(d.notes, fmt.Sprintf("the old rules made %s%s: %s", percents(d.made()), d.reaches(), d.slip.name))
	} else if d.left > lost {
		d.notes = append(d.notes, text.Percent(d.left)+" of the connections were taken by no rule: the backends get them now")
	}
	if d.anywhere {
		d.notes = append(d.notes, "the old rules named no destination, and took also connections that this host only forwards to other hosts")
	}
	if d.mixed {
		d.notes = append(d.notes, "the old rules spread by chance and in turn: it is by chance now")
	}
	if slices.ContainsFunc(d.parts, func(p part) bool { return !p.target.Address.IsValid() && !p.target.Same(own) }) {
		d.notes = append(d.notes, "the old rules led to this host by REDIRECT, or by DNAT to a port: its server has to listen at the address below, not at 127.0.0.1 only")
	}
	for _, p := range d.parts {
		if len(p.target.Options) > 0 {
			d.notes = append(d.notes, "the old rules had "+strings.Join(p.target.Options, " ")+", which has no effect here")
			break
		}
	}
	for _, note := range d.notes {
		fmt.Fprintf(b, "# %s.\n", note)
	}
}

// service returns what was written.
func (d *draft) service() Service {
	s := Service{Name: d.name, Listen: d.listens(), Protocols: d.protocols, Left: d.left, Slip: d.slip.name, Notes: d.notes, Rules: d.list, draft: d}
	if s.Left <= lost {
		s.Left = 0
	}
	sum := 0
	for _, weight := range d.weights {
		sum += weight
	}
	for i, p := range d.parts {
		target := Target{d.backend(p.target), p.share, p.share, d.weights[i], float64(d.weights[i]) / float64(sum)}
		if d.slip.meant != nil {
			target.Meant = d.slip.meant[i]
		}
		s.Targets = append(s.Targets, target)
	}
	return s
}

// list writes strings as a config does: one alone, or several in brackets.
func list(values []string) string {
	if len(values) == 1 {
		return quote(values[0])
	}
	return array(values)
}

// array writes strings in brackets.
func array(values []string) string {
	var quoted []string
	for _, value := range values {
		quoted = append(quoted, quote(value))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote writes a string.
func quote(value string) string { return strconv.Quote(value) }
