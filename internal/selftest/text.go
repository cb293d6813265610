package selftest

import (
	"fmt"
	"strings"

	"natspread/internal/screen"
	"natspread/internal/text"
)

// Text writes the result for people, a part for each service.
func (r Result) Text(on screen.Screen) string {
	var written strings.Builder
	for _, service := range r.Services {
		service.write(&written, on)
	}
	return written.String()
}

// write writes one service.
func (s Service) write(to *strings.Builder, on screen.Screen) {
	add := func(format string, args ...any) { to.WriteString(on.Wrap(fmt.Sprintf(format, args...)) + "\n") }
	add("%s: %s %s, %s, snat %s", on.Bold(s.Name), strings.Join(s.Protocols, "+"), listed(s.Listen), s.Algorithm, s.SNAT)
	width := 0
	for _, backend := range s.Backends {
		width = max(width, len(backend.Address))
	}
	for _, b := range s.Backends {
		chance := ""
		if b.LeastShare < b.MostShare {
			chance = fmt.Sprintf("  (%s to %s is chance)", text.Percent(b.LeastShare), text.Percent(b.MostShare))
		}
		add("  %-*s  wanted %8s  seen %8s%s", width, b.Address, text.Percent(b.WantedShare), text.Percent(b.ObservedShare), chance)
	}
	for _, client := range s.Clients {
		add("  %s", client)
	}
	if len(s.Sources) > 0 {
		add("  backends see %s", strings.Join(s.Sources, ", "))
	}
	for _, words := range s.NotTried {
		add("  not tried: %s", words)
	}
	for _, finding := range s.Findings {
		add("  %s %s", on.Alarm("wrong:"), finding.What)
		if finding.Fix != "" {
			fmt.Fprintf(to, "    fix: %s\n", finding.Fix)
		}
	}
}

// listed writes a few listen addresses.
func listed(all []string) string {
	const most = 4
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], " "), len(all)-most)
	}
	return strings.Join(all, " ")
}

// String says what came of the connections of clients in one place.
func (c Client) String() string {
	who := map[place]string{
		outside: "from outside", beside: "from beside the backends", itself: "from the balancer itself", other: "by another interface",
	}[c.Place]
	if c.Address != "" {
		who += fmt.Sprintf(", %s", c.Address)
	}
	if c.Clients > 1 {
		who += fmt.Sprintf(" and %d more", c.Clients-1)
	}
	came := map[answer]string{served: "served", refused: "refused", byHost: "answered by the host itself"}[c.Wanted]
	return fmt.Sprintf("%s: %d of %d %s", who, c.AsWanted, c.Connections, came)
}

// Summary says in one line what came of all.
func (r Result) Summary() string {
	wrong := 0
	for _, service := range r.Services {
		wrong += len(service.Findings)
	}
	left := ""
	if r.LeftOut > 0 {
		left = fmt.Sprintf(" (of %d, as some are enough)", len(r.Services)+r.LeftOut)
	}
	came := "all as the config says"
	if wrong > 0 {
		came = text.Plural(wrong, "finding")
	}
	return fmt.Sprintf("tried %s%s with the %s variant of iptables: %s", text.Plural(len(r.Services), "service"), left, r.Variant, came)
}
