package selftest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"

	"natspread/internal/config"
	"natspread/internal/nethost"
)

// Bounds of what one run does, so that it ends in seconds.
const (
	maxServices    = 100   // that are tried
	maxTargets     = 12    // of one service
	maxConnections = 12000 // that shares are counted of, of all services
	fewConnections = 600   // of one service, unless there are many
	eachBackend    = 24    // connections, where there are enough
	maxSources     = 2000  // clients that a service tells apart
	mostListed     = 8     // subnets of allow, and of deny, that have a client each
	mostNetworks   = 4     // of backends that are clients, too
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

// target is what a client asks for.
type target struct {
	listen   config.Listen
	protocol config.Protocol
	port     uint16
}

// client is one client of a service.
type client struct {
	place   place
	by      string     // the balancer's interface that its packets come in by; "" on the balancer itself
	address netip.Addr // the zero Addr leaves it to the balancer itself
	want    answer
	counted bool // its connections count for the shares
}

// scene is what is tried of one service.
type scene struct {
	*world
	service  config.Service
	targets  []target
	clients  []client
	answers  []map[netip.AddrPort]int // the places of the backends by where they answer for each target
	share    int                      // how many connections are counted
	chance   *rand.Rand
	findings []Finding
	notTried []string
}

// newScene plans what is tried of a service, of which so many connections are counted.
func newScene(w *world, service config.Service, share int, sctp bool) *scene {
	sum := fnv.New64a()
	sum.Write([]byte(service.Name)) // the same clients in every run
	s := &scene{world: w, service: service, share: share, chance: rand.New(rand.NewPCG(sum.Sum64(), 0))}
	s.addTargets(sctp)
	if len(s.targets) == 0 {
		return s
	}
	s.addCounted()
	s.addRefused()
	s.addBeside()
	if s.service.ClampMSS != (config.ClampMSS{}) {
		s.notTried = append(s.notTried, "clamp_mss: all links are of one size here")
	}
	s.addItself()
	s.addPrograms()
	return s
}

// addPrograms adds the programs of the balancer's own: backends, and what the host has for the
// clients that the service is not for.
func (s *scene) addPrograms() {
	for i, t := range s.targets {
		for at := range s.answers[i] {
			if s.own[at.Addr()] && s.chained(t.protocol, at) == "" {
				s.programs[server{t.protocol, at}] = true
			}
		}
		for _, c := range s.clients {
			if c.want == byHost {
				s.programs[server{t.protocol, s.at(t, c)}] = true
			}
		}
	}
}

// addItself adds the balancer as a client, unless its connections are another service's.
func (s *scene) addItself() {
	isLocal := func(o config.Service) bool { return o.Local }
	if other := s.another(isLocal); !s.service.Local && other != "" {
		s.notTried = append(s.notTried, "the balancer itself: service "+other+" listens there, too")
		return
	}
	want := refused
	if s.service.Local && s.inService() {
		want = served
	}
	s.clients = append(s.clients, client{place: itself, want: want})
}

// another returns the service with a listen address of this one, which interfaces or clients tell apart,
// that is for somebody; "" where there is none. What that one gets is not for this service to say.
func (s *scene) another(isFor func(config.Service) bool) string {
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

// anothers tells whether such a service is for a client.
func (s *scene) anothers(address netip.Addr, by string) bool {
	return s.another(func(o config.Service) bool { return o.Serves(address) && o.ComesBy(by) }) != ""
}

// inService tells whether any backend gets new connections.
func (s *scene) inService() bool { return len(s.service.Active()) > 0 }

// addTargets chooses some of what clients may ask for: of a range of ports both ends.
func (s *scene) addTargets(sctp bool) {
	if s.service.Is6() && !nethost.HasIPv6() {
		s.notTried = append(s.notTried, "IPv6: this kernel has it switched off")
		return
	}
	var all []target
	for _, protocol := range s.service.Protocols {
		if protocol == config.SCTP && !sctp {
			s.notTried = append(s.notTried, "sctp: this kernel has no SCTP sockets; modprobe sctp loads them")
			continue
		}
		for _, listen := range s.service.Listen {
			all = append(all, target{listen, protocol, listen.Ports.First})
			if listen.Ports.Last != listen.Ports.First {
				all = append(all, target{listen, protocol, listen.Ports.Last})
			}
		}
	}
	most := max(1, min(maxTargets, config.MaxBackends/len(s.service.Backends)))
	s.targets = some(all, most)
	for _, t := range s.targets {
		s.answers = append(s.answers, s.answering(t))
	}
	if left := len(all) - len(s.targets); left > 0 {
		s.notTried = append(s.notTried, fmt.Sprintf("%d of %d listen addresses, ports and protocols: some are enough", left, len(all)))
	}
}

// some returns so many of a list at most, evenly spread.
func some[T any](list []T, most int) []T {
	if len(list) <= most {
		return list
	}
	chosen := make([]T, most)
	for i := range chosen {
		chosen[i] = list[i*len(list)/most]
	}
	return chosen
}

// at returns the address and port that a client asks for. Where the service listens on every
// address, these are those of the balancer's interface that leads to the client.
func (s *scene) at(t target, c client) netip.AddrPort {
	address := t.listen.Addr
	if t.listen.Any() {
		by := c.by
		if by == "" {
			by = linkOut
		}
		address = s.gateway(by, s.service.Is6())
	}
	return netip.AddrPortFrom(address, t.port)
}

// entries are the interfaces by which clients from elsewhere come in.
func (s *scene) entries() []string {
	if len(s.service.Interfaces) == 0 {
		return []string{linkOut}
	}
	return named(s.service)
}

// add adds a client with an address, unless somebody else has it, and tells whether it did.
func (s *scene) add(address netip.Addr, counted bool) bool {
	if s.networks[networkOf(address)] {
		return s.addNeighbour(address, counted)
	}
	by := s.entries()[len(s.clients)%len(s.entries())]
	if s.wantOf(address) != served && s.anothers(address, by) || !s.settle(address, by) {
		return false
	}
	s.clients = append(s.clients, client{place: outside, by: by, address: address, want: s.wantOf(address), counted: counted})
	return true
}

// wantOf returns what a client gets by allow and deny.
func (s *scene) wantOf(address netip.Addr) answer {
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
func (s *scene) addCounted() {
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
func (s *scene) addSources(open []netip.Prefix) {
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
func (s *scene) preferOutside() {
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
func (s *scene) addRefused() {
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
		if address := draw(s.chance, open[0]); !s.networks[networkOf(address)] && !s.anothers(address, linkOther) && s.settle(address, linkOther) {
			s.clients = append(s.clients, client{place: other, by: linkOther, address: address, want: refused})
			return
		}
	}
}

// addBeside adds backends as clients, one of each of some networks.
func (s *scene) addBeside() {
	seen := map[netip.Prefix]bool{}
	for _, backend := range s.service.Backends {
		if network := networkOf(backend.Addr); !s.own[backend.Addr] && !seen[network] && len(seen) < mostNetworks {
			seen[network] = true
			s.addNeighbour(backend.Addr, false)
		}
	}
}

// addNeighbour adds a client beside the backends, or says why it is not tried.
func (s *scene) addNeighbour(address netip.Addr, counted bool) bool {
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
	if want != served && s.anothers(address, linkIn) || !s.backends[address] && !s.settle(address, linkIn) {
		return false
	}
	s.clients = append(s.clients, client{place: beside, by: linkIn, address: address, want: want, counted: counted})
	return true
}

// hairpins tells whether hairpin has an address.
func (s *scene) hairpins(address netip.Addr) bool {
	return slices.ContainsFunc(s.service.Hairpin, func(subnet netip.Prefix) bool { return subnet.Contains(address) })
}

// oneArmed tells whether the service listens in the network of an address: clients there are its
// neighbours.
func (s *scene) oneArmed(address netip.Addr) bool {
	return slices.ContainsFunc(s.service.Listen, func(l config.Listen) bool { return !l.Any() && networkOf(l.Addr) == networkOf(address) })
}

// answering returns the places of the backends by where they answer what is asked for.
func (s *scene) answering(t target) map[netip.AddrPort]int {
	places := map[netip.AddrPort]int{}
	for i, backend := range s.service.Backends {
		places[answersAt(t, backend)] = i
	}
	return places
}

// chained returns another service that listens where a backend of the balancer's own answers, and
// leaves a program there to nobody. No connection meets the rules twice, so clients would not reach
// that service.
func (s *scene) chained(protocol config.Protocol, at netip.AddrPort) string {
	name := ""
	if s.own[at.Addr()] {
		for other := range s.cfg.Listening(protocol, at) {
			if other.Name == s.service.Name {
				return "" // it keeps that share where it came
			}
			if other.Local && len(other.Interfaces) == 0 && other.Refused != config.ToHost {
				name = other.Name
			}
		}
	}
	return name
}

// answersAt returns where a backend answers what is asked for.
func answersAt(t target, backend config.Backend) netip.AddrPort {
	ports := t.listen.Answers(backend)
	if ports.First != ports.Last {
		ports.First += t.port - t.listen.Ports.First
	}
	return netip.AddrPortFrom(backend.Addr, ports.First)
}
