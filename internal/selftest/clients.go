package selftest

import (
	"net/netip"
	"slices"

	"natspread/internal/config"
)

// place is where a client is.
type place string

// The places.
const (
	outside place = "outside"
	beside  place = "beside"
	itself  place = "itself"          // the balancer
	other   place = "other_interface" // than the service's
)

// answer is what a client gets.
type answer string

// The answers.
const (
	served  answer = "served"
	refused answer = "refused"
	byHost  answer = "host" // the host itself, as if there were no service
)

// client is one client of a service.
type client struct {
	place   place
	by      string     // the balancer's interface that its packets come in by; "" on the balancer itself
	address netip.Addr // the zero Addr leaves it to the balancer itself
	want    answer
	counted bool // its connections count for the shares
}

// addItself adds the balancer as a client, unless its connections are another service's.
func (s *serviceTest) addItself() {
	isLocal := func(o config.Service) bool { return o.Local }
	if other := s.alsoListening(isLocal); !s.service.Local && other != "" {
		s.notTried = append(s.notTried, "the balancer itself: service "+other+" listens there, too")
		return
	}
	want := refused
	if s.service.Local && s.inService() {
		want = served
	}
	s.clients = append(s.clients, client{place: itself, want: want})
}

// alsoListening returns the service with a listen address of this one, which interfaces or clients tell apart,
// that is for somebody; "" where there is none. What that one gets is not for this service to say.
func (s *serviceTest) alsoListening(isFor func(config.Service) bool) string {
	has := func(l config.Listen) bool {
		return slices.ContainsFunc(s.service.Listen, func(own config.Listen) bool { return own.Addr == l.Addr && own.Ports == l.Ports })
	}
	for _, o := range s.cfg.Services {
		if o.Name != s.service.Name && o.Is6() == s.service.Is6() && isFor(o) && slices.ContainsFunc(o.Listen, has) {
			return o.Name
		}
	}
	return ""
}

// servedByAnother tells whether such a service is for a client.
func (s *serviceTest) servedByAnother(address netip.Addr, by string) bool {
	return s.alsoListening(func(o config.Service) bool { return o.Serves(address) && o.ComesBy(by) }) != ""
}

// entries are the interfaces by which clients from elsewhere come in.
func (s *serviceTest) entries() []string {
	if len(s.service.Interfaces) == 0 {
		return []string{linkOut}
	}
	return named(s.service)
}

// add adds a client with an address, unless somebody else has it, and tells whether it did.
func (s *serviceTest) add(address netip.Addr, counted bool) bool {
	if s.networks[networkOf(address)] {
		return s.addNeighbour(address, counted)
	}
	by := s.entries()[len(s.clients)%len(s.entries())]
	if s.wantOf(address) != served && s.servedByAnother(address, by) || !s.placeClient(address, by) {
		return false
	}
	s.clients = append(s.clients, client{place: outside, by: by, address: address, want: s.wantOf(address), counted: counted})
	return true
}

// wantOf returns what a client gets by allow and deny.
func (s *serviceTest) wantOf(address netip.Addr) answer {
	switch {
	case !s.service.Serves(address) && s.service.Refused == config.ToHost:
		return byHost
	case !s.service.Serves(address), !s.inService():
		return refused
	}
	return served
}

// addCounted adds the clients whose connections are counted: for a service that tells clients apart
// by their addresses many, else one of each of some subnets.
func (s *serviceTest) addCounted() {
	open := clientsOf(s.service.Is6(), s.service.Allow, s.service.Deny)
	if len(open) == 0 {
		s.findings = append(s.findings, Finding{What: "no client may connect: deny holds all that allow has", Fix: "take out of deny what allow is to admit"})
		return
	}
	if s.bySource() {
		s.addSources(open)
	} else {
		count := len(s.entries())
		if len(s.service.Allow) > 0 {
			count = max(count, min(len(open), mostListed))
		}
		for i := range count {
			subnet := open[i*max(1, len(open)/count)%len(open)]
			for range 100 {
				if s.add(draw(s.chance, subnet), true) {
					break
				}
			}
		}
	}
	s.preferOutside()
}

// addSources adds clients of as many different slots as there may be: those with the same first bits
// of their address have one slot. Where these are few, clients with the same bits join: a service
// that gives all of them one backend does not spread them.
func (s *serviceTest) addSources(open []netip.Prefix) {
	seen, drawn := map[netip.Prefix]bool{}, map[netip.Addr]bool{}
	most := min(s.share, maxSources)
	for _, again := range []bool{false, true} {
		for i := range 16 * most {
			if len(s.clients) >= most || again && len(seen) >= eachBackend/2*len(s.service.Active()) {
				return
			}
			address := draw(s.chance, open[i%len(open)])
			bits, _ := address.Prefix(s.service.SourcePrefix)
			if (again || !seen[bits]) && !drawn[address] && s.add(address, true) {
				seen[bits], drawn[address] = true, true
			}
		}
	}
}

// preferOutside counts those who are not beside the backends, if there are any. Of the others a few
// are enough then.
func (s *serviceTest) preferOutside() {
	isOutside := func(c client) bool { return c.place == outside }
	if !slices.ContainsFunc(s.clients, isOutside) {
		return
	}
	neighbours := 0
	s.clients = slices.DeleteFunc(s.clients, func(c client) bool {
		if !isOutside(c) {
			neighbours++
		}
		return !isOutside(c) && neighbours > mostNetworks
	})
	for i := range s.clients {
		s.clients[i].counted = isOutside(s.clients[i])
	}
}

// addRefused adds clients that the service is not for: of some subnets of deny, a stranger if there
// is an allow, and one who comes in by another interface.
func (s *serviceTest) addRefused() {
	subnets := some(s.service.Deny, mostListed)
	if len(s.service.Allow) > 0 {
		if strangers := clientsOf(s.service.Is6(), nil, slices.Concat(s.service.Allow, s.service.Deny)); len(strangers) > 0 {
			subnets = append(slices.Clone(subnets), strangers[0])
		}
	}
	for _, subnet := range subnets {
		for range 100 {
			if s.add(draw(s.chance, subnet), false) {
				break
			}
		}
	}
	open := clientsOf(s.service.Is6(), s.service.Allow, s.service.Deny)
	if s.service.ComesBy(linkOther) || len(open) == 0 {
		return
	}
	for range 100 {
		if address := draw(s.chance, open[0]); !s.networks[networkOf(address)] && !s.servedByAnother(address, linkOther) && s.placeClient(address, linkOther) {
			s.clients = append(s.clients, client{place: other, by: linkOther, address: address, want: refused})
			return
		}
	}
}

// addBeside adds backends as clients, one of each of some networks.
func (s *serviceTest) addBeside() {
	seen := map[netip.Prefix]bool{}
	for _, backend := range s.service.Backends {
		if network := networkOf(backend.Addr); !s.own[backend.Addr] && !seen[network] && len(seen) < mostNetworks {
			seen[network] = true
			s.addNeighbour(backend.Addr, false)
		}
	}
}

// addNeighbour adds a client beside the backends, or says why it is not tried.
func (s *serviceTest) addNeighbour(address netip.Addr, counted bool) bool {
	want := s.wantOf(address)
	// Hairpin names it as a client, whatever else keeps it from being one; and where it names any
	// backend, it is for all of them.
	named := s.hairpins(address) || want == served && slices.ContainsFunc(s.service.Backends, func(b config.Backend) bool { return s.hairpins(b.Addr) })
	if named && s.inService() {
		want = served
	}
	why := ""
	switch {
	case len(s.service.Interfaces) > 0:
		why = "clients beside the backends: the config does not say by which interface they come in"
	case want == served && s.service.SNAT.Mode == config.None && !named && len(s.service.Allow) == 0 && !s.oneArmed(address):
		why = `clients beside the backends: with snat = "none" and without hairpin they get no answer`
	}
	if why != "" {
		if !slices.Contains(s.notTried, why) {
			s.notTried = append(s.notTried, why)
		}
		return true
	}
	if want != served && s.servedByAnother(address, linkIn) || !s.backends[address] && !s.placeClient(address, linkIn) {
		return false
	}
	s.clients = append(s.clients, client{place: beside, by: linkIn, address: address, want: want, counted: counted})
	return true
}

// oneArmed tells whether the service listens in the network of an address: clients there are its
// neighbours.
func (s *serviceTest) oneArmed(address netip.Addr) bool {
	return slices.ContainsFunc(s.service.Listen, func(l config.Listen) bool { return !l.Any() && networkOf(l.Addr) == networkOf(address) })
}
