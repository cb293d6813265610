package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/screen"
	"natspread/internal/text"
)

// mostListens is how many listen addresses the first line of a service names.
const mostListens = 8

// listenText returns all listen addresses of a service whose first line does not name all, a few
// in each line.
func (s Service) listenText(on screen.Screen) string {
	if len(s.Listen) <= mostListens {
		return ""
	}
	var written strings.Builder
	for few := range slices.Chunk(s.Listen, mostListens/2) {
		written.WriteString(on.Wrap("  listens on "+strings.Join(few, " ")) + "\n")
	}
	return written.String()
}

// headOf says what kind of service it is: where it listens, how it balances, what
// backends see, and whether FORWARD lets it through.
func headOf(service config.Service) string {
	listens := text.Strings(service.Listen)
	if n := len(listens); n > mostListens {
		listens = append(listens[:mostListens-1:mostListens-1], fmt.Sprintf("and %d more", n-mostListens+1))
	}
	head := fmt.Sprintf("%s %s  %s, snat %s", strings.Join(text.Strings(service.Protocols), "+"), strings.Join(listens, " "), algorithmText(service), service.SNAT)
	if service.SNATPorts == config.RandomPorts {
		head += " " + string(service.SNATPorts)
	}
	if ports := service.PortMap(); ports != "" {
		head += ", ports " + ports
	}
	if service.Checked() {
		head += ", check " + string(service.Check.Type)
	}
	if service.Forward == config.Accept {
		head += ", forward accept"
	}
	if service.ClampMSS.On {
		head += ", clamp_mss " + service.ClampMSS.String()
	}
	if service.Takeover {
		head += ", takeover"
	}
	return head + gateText(service)
}

// gateText says whom a service is for; nothing where it is for all.
func gateText(service config.Service) string {
	words := ""
	if len(service.Interfaces) > 0 {
		words = ", by " + strings.Join(service.Interfaces, " ")
	}
	for _, list := range []struct {
		key     string
		clients []netip.Prefix
	}{{"allow", service.Allow}, {"deny", service.Deny}} {
		switch n := len(list.clients); {
		case n > 3:
			words += fmt.Sprintf(", %s %d subnets", list.key, n)
		case n > 0:
			words += ", " + list.key + " " + strings.Join(text.Strings(list.clients), " ")
		}
	}
	if service.Refused == config.ToHost {
		words += ", others to the host"
	}
	return words
}

// algorithmText names the algorithm of a service, and how many slots its clients are in.
func algorithmText(service config.Service) string {
	words := string(service.Algorithm)
	if service.Slots == 0 {
		return words
	}
	if service.SourcePrefix != service.Backends[0].Addr.BitLen() {
		words += fmt.Sprintf(" of a /%d", service.SourcePrefix)
	}
	return fmt.Sprintf("%s in %d slots", words, service.Slots)
}

// Text returns the service for people: a line of its own, and a table of its backends.
func (s Service) Text(on screen.Screen) string { return s.textOf(on, s.Backends) }

// textOf is Text with some of the backends.
func (s Service) textOf(on screen.Screen, backends []Backend) string {
	words := append([]string{on.Bold(s.Name), s.head}, append(s.modeWords(), s.counts())...)
	line := on.WrapList(strings.Join(words, "  ")) + "\n"
	table := screen.Table{Indent: 2, Columns: []screen.Column{
		{Name: "BACKEND"}, {Name: "STATE"}, {Name: "SLOTS", Right: true}, {Name: "WEIGHT", Right: true}, {Name: "WANTED", Right: true},
		{Name: "OBSERVED", Right: true}, {Name: "TOTAL", Right: true}, {Name: "LIVE", Right: true},
	}}
	for _, backend := range backends {
		table.Rows = append(table.Rows, s.row(on, backend))
	}
	if s.Slots == 0 {
		table.Remove(2)
	}
	if !slices.ContainsFunc(backends, func(b Backend) bool { return b.state() != "" }) {
		table.Remove(1)
	}
	return line + table.Text(on)
}

// row is the row of a backend. Behind it stands why it is down, or a bar of its share of at most 20 characters.
func (s Service) row(on screen.Screen, b Backend) screen.Row {
	state, observed, live := b.state(), none, none
	if b.Health != nil && b.Health.State == health.Down {
		state = on.Alarm(state)
	}
	if s.Connections > 0 {
		observed = text.Percent(b.ObservedShare)
	}
	if b.Live != nil {
		live = fmt.Sprint(*b.Live)
	}
	return screen.Row{
		Cells: []string{b.Address, cmp.Or(state, none), fmt.Sprint(b.Slots), fmt.Sprint(b.Weight), text.Percent(b.WantedShare), observed, fmt.Sprint(b.Connections), live},
		Note:  b.Health.reason(), Spare: strings.Repeat("#", int(b.ObservedShare*20+0.5)),
	}
}

// none stands in a table where there is nothing to say.
const none = "-"

// state says in a few words what becomes of new connections to the backend, and since when; nothing where it just
// gets its share.
func (b Backend) state() string {
	var words []string
	switch {
	case b.Drained && b.drainedFor > 0:
		words = append(words, "drained "+text.Age(b.drainedFor))
	case b.Drained:
		words = append(words, "drained")
	}
	if b.Health != nil && (!b.Drained || b.Health.State == health.Down) {
		words = append(words, b.Health.words())
	}
	if b.Backup {
		words = append(words, "backup")
	}
	return strings.Join(words, ", ")
}

// words returns what is known of a backend that is checked for people, and since when.
func (h *Health) words() string {
	switch {
	case h.State == health.New && h.record.Unable > 0:
		return "cannot be checked"
	case h.State == health.New:
		return "not checked yet"
	}
	return string(h.State) + " " + text.Age(h.since)
}

// reason returns why a backend is down; nothing for one that is not, or is not checked.
func (h *Health) reason() string {
	if h == nil || h.State != health.Down {
		return ""
	}
	return text.OneLine(h.Reason)
}

// modeWords says how many backends of a checked service are up, and by which rule it chooses
// them, unless that is the normal one.
func (s Service) modeWords() []string {
	if s.Health == "" {
		return nil
	}
	states := map[health.State]int{}
	for _, backend := range s.Backends {
		states[backend.Health.State]++
	}
	words := fmt.Sprintf("%d of %d up", states[health.Up], len(s.Backends))
	if s.unwatched && states[health.New] < len(s.Backends) { // checks do not run
		words += " when last checked"
	}
	if unknown := states[health.New]; unknown > 0 {
		words += fmt.Sprintf(", %d not checked yet", unknown)
	}
	switch s.Health {
	case health.FailOpen:
		words += ", fail-open: all get connections"
	case health.Backup:
		words += ", backups join"
	}
	return []string{words}
}

// counts says how many connections the service got, and how many of all are open.
func (s Service) counts() string {
	return text.Plural(int(s.Connections), "connection") + liveText(", %d live", s.Live)
}

// liveText writes a number of live connections, and nothing for one that is unknown.
func liveText(format string, live *int) string {
	if live == nil {
		return ""
	}
	return fmt.Sprintf(format, *live)
}
