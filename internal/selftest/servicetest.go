package selftest

import (
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"

	"natspread/internal/config"
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

// serviceTest is what is tried of one service.
type serviceTest struct {
	*topology
	service  config.Service
	targets  []target
	clients  []client
	answers  []map[netip.AddrPort]int // the places of the backends by where they answer for each target
	share    int                      // how many connections are counted
	chance   *rand.Rand
	findings []Finding
	notTried []string
}

// newServiceTest plans what is tried of a service, of which so many connections are counted.
func newServiceTest(w *topology, service config.Service, share int, sctp bool) *serviceTest {
	sum := fnv.New64a()
	sum.Write([]byte(service.Name)) // the same clients in every run
	s := &serviceTest{topology: w, service: service, share: share, chance: rand.New(rand.NewPCG(sum.Sum64(), 0))}
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
func (s *serviceTest) addPrograms() {
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

// inService tells whether any backend gets new connections.
func (s *serviceTest) inService() bool { return len(s.service.Active()) > 0 }

// hairpins tells whether hairpin has an address.
func (s *serviceTest) hairpins(address netip.Addr) bool {
	return slices.ContainsFunc(s.service.Hairpin, func(subnet netip.Prefix) bool { return subnet.Contains(address) })
}

// chained returns another service that listens where a backend on the balancer itself answers, and
// takes all connections there. No connection meets the rules twice, so clients of this service would
// reach neither that service nor a program.
func (s *serviceTest) chained(protocol config.Protocol, at netip.AddrPort) string {
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
