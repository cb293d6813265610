package config

import (
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// stays tells whether b is where l listens: what it gets is not sent elsewhere.
func (l Listen) stays(b Backend) bool { return l.Addr == b.Addr && l.Answers(b) == l.Ports }

// Stays tells whether b is the listen address itself, at the ports that clients ask for: what it gets
// stays on the balancer as it came. Where ports are mapped, it is asked of the one that l maps. Of
// several listen addresses b can be one only.
func (s Service) Stays(l Listen, b Backend) bool {
	return !slices.ContainsFunc(s.Listen, func(other Listen) bool {
		alike := l.To == 0 && other.To == 0 || l.To == other.To && l.Ports == other.Ports
		return alike && !other.stays(b)
	})
}

// thisMachine are words for the balancer itself.
var thisMachine = []string{"*", "localhost", "local", "self", "this", "host"}

// ownFix is the fix for a backend that was written as the balancer itself: an address of it, where the
// service listens. It is "" for every other text.
func (d *draft) ownFix(text string) string {
	e, _ := value.SplitEndpoint(text)
	a, _ := netip.ParseAddr(e.Host)
	if !a.IsLoopback() && !slices.Contains(thisMachine, strings.ToLower(e.Host)) {
		return ""
	}
	if _, why := endpoint.ParsePorts(e.Ports); why != nil {
		e.Ports = ""
	}
	for _, item := range d.listenItems() {
		at, _ := value.SplitEndpoint(item.Text)
		if own, why := value.ParseUnicast(at.Host); why == nil && (!a.IsValid() || a.Is6() == own.Is6()) {
			return "write another address of this machine, as in " + source.Quote(value.Join(own.String(), e.Ports))
		}
	}
	return ""
}
