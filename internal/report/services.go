package report

import (
	"context"
	"slices"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/internal/text"
	"natspread/render"
	"natspread/restore/flows"
)

// Service is one service as status shows it.
type Service struct {
	Name        string   `json:"name"`
	Listen      []string `json:"listen"`
	Ports       string   `json:"ports,omitempty"` // those that it maps, as in { 80 = 8080 }; absent: none
	Protocols   []string `json:"protocols"`
	Algorithm   string   `json:"algorithm"`
	Slots       int      `json:"slots"` // that the clients are in; 0 where the algorithm has none
	SNAT        string   `json:"snat"`
	SNATPorts   string   `json:"snat_ports"`
	Forward     string   `json:"forward"`              // leave, accept
	Interfaces  []string `json:"interfaces,omitempty"` // names and patterns that clients come in by; absent: any
	ClampMSS    string   `json:"clamp_mss,omitempty"`  // true, or bytes of the longest segment; absent where segments stay as they are
	Allow       []string `json:"allow,omitempty"`      // subnets of clients that it is for; absent: all
	Deny        []string `json:"deny,omitempty"`       // subnets of clients that it is not for
	Refused     string   `json:"refused,omitempty"`    // what the other clients get: reject, host; absent: there are none
	Connections uint64   `json:"connections"`          // since the last load
	Live        *int     `json:"live"`                 // open now; null when connection tracking cannot be read
	// Health is by which rule it chooses its backends: normal, backup, fail_open, drained; ""
	// where nobody checks them.
	Health   health.Mode `json:"health,omitempty"`
	Backends []Backend   `json:"backends"`

	unwatched bool // natspread health does not run, so what it knew may be old
	virtual   []rules.VirtualService
	head      string // what kind of service it is, for people
}

// Backend is one backend of a Service.
type Backend struct {
	Address       string  `json:"address"`
	Weight        int     `json:"weight"`
	Drained       bool    `json:"drained"` // it gets no new connections, whatever its health
	Backup        bool    `json:"backup"`  // it gets some only when too few of the others are up
	Health        *Health `json:"health,omitempty"`
	Slots         int     `json:"slots"`          // that it owns of those of the service
	WantedShare   float64 `json:"wanted_share"`   // of new connections, 0 to 1
	ObservedShare float64 `json:"observed_share"` // the same, as counted
	Connections   uint64  `json:"connections"`
	Live          *int    `json:"live"` // open now, also at a drained backend; null as above

	drainedFor time.Duration // so long ago it was drained by hand; 0 where nobody knows
}

// Health is what is known of a backend that is checked.
type Health struct {
	State  health.State `json:"state"`            // new (not checked yet, and counts as up), up, down
	Since  *time.Time   `json:"since,omitempty"`  // when it became that; absent while it is new
	Reason string       `json:"reason,omitempty"` // why it is down

	record health.CheckRecord
	since  time.Duration // ago
}

// counts are the connections of the services of a family, by name and target.
type counts map[string]map[rules.Target]uint64

// add adds connections.
func (c counts) add(service string, target rules.Target, connections uint64) {
	target.Shift = rules.Shift{} // one backend, whichever of its ports
	if c[service] == nil {
		c[service] = map[rules.Target]uint64{}
	}
	c[service][target] += connections
}

// Services describes the services of the wanted generation, with what the kernel counted, also
// by rules that are gone. An error says why live connections are not counted.
func (r Report) Services(ctx context.Context) ([]Service, error) {
	all := [2]counts{rules.IPv4: counted(r.Status.Tables[rules.IPv4]), rules.IPv6: counted(r.Status.Tables[rules.IPv6])}
	for _, gone := range r.Status.Counts {
		all[gone.Family].add(gone.Service, gone.Target, gone.Packets)
	}
	services := make([]Service, len(r.config.Services))
	for i, service := range r.config.Services {
		services[i] = describe(service, all[familyOf(service)][rules.ShortName(service.Name)], r.watched)
	}
	return services, addLive(ctx, services)
}

// counted sums, by service and target, the connections that the kernel counted: a rule
// in the nat table meets each connection once.
func counted(live rules.Saved) counts {
	sums := counts{}
	for _, chain := range live.OwnChains() {
		service := rules.ServiceOf(chain.Name)
		if service == "" {
			continue
		}
		for _, rule := range chain.Rules {
			// A rule that somebody else put there is drift, and counts for nobody.
			if parsed, err := rules.ParseRule(rule.Text); err == nil {
				sums.add(service, parsed.Leads(), rule.Packets)
			}
		}
	}
	return sums
}

// answerPorts returns the ports that the rules of a service send the connections of the backend at a
// place to, each once, and of a range the first one; 0 where they keep the one that was asked.
func answerPorts(service config.Service, virtual []rules.VirtualService, place int) []uint16 {
	var all []uint16
	for i, answers := range virtual {
		port := answers.Backends[place].Port()
		if service.Stays(service.Listen[i/len(service.Protocols)], service.Backends[place]) {
			port = 0
		}
		if !slices.Contains(all, port) {
			all = append(all, port)
		}
	}
	return all
}

// describe describes one service with the connections that each target got.
func describe(service config.Service, counts map[rules.Target]uint64, watched watched) Service {
	described := Service{
		Name: service.Name, Listen: text.Strings(service.Listen), Ports: service.PortMap(), Protocols: text.Strings(service.Protocols),
		Algorithm: string(service.Algorithm), Slots: service.Slots, SNAT: service.SNAT.String(), SNATPorts: string(service.SNATPorts), Forward: string(service.Forward),
		Interfaces: service.Interfaces, Allow: text.Strings(service.Allow), Deny: text.Strings(service.Deny), Refused: string(service.Refused),
		Backends: make([]Backend, len(service.Backends)), virtual: render.VirtualServices(service), head: headOf(service),
	}
	if service.ClampMSS.On {
		described.ClampMSS = service.ClampMSS.String()
	}
	if service.Checked() {
		described.Health, described.unwatched = watched.mode(service), !watched.alive || watched.stale()
	}
	standing := watched.standing(service)
	owned := standing.Owned()
	shares := standing.Shares(owned)
	for i, backend := range service.Backends {
		connections := uint64(0)
		for _, port := range answerPorts(service, described.virtual, i) {
			connections += counts[rules.Target{Kind: rules.DNAT, Address: backend.Addr, Port: port}]
		}
		described.Connections += connections
		described.Backends[i] = Backend{
			Address: backend.String(), Weight: backend.Weight, Drained: backend.Drained(), Backup: backend.Backup,
			Health: watched.healthOf(service, backend), Slots: owned[i], WantedShare: shares[i], Connections: connections,
		}
		if out, is := watched.out(service, backend); is && out.Reason == health.ByHand {
			described.Backends[i].Drained, described.Backends[i].drainedFor = true, watched.now-out.Since
		}
	}
	for i := range described.Backends {
		backend := &described.Backends[i]
		backend.ObservedShare = ratio(float64(backend.Connections), float64(described.Connections))
	}
	return described
}

// addLive adds to services how many connections are open now.
func addLive(ctx context.Context, services []Service) error {
	var virtual []rules.VirtualService
	for _, service := range services {
		virtual = append(virtual, service.virtual...)
	}
	counts, err := flows.CountConnections(ctx, virtual)
	if err != nil {
		return err
	}
	for i := range services {
		services[i].addLive(counts[:len(services[i].virtual)])
		counts = counts[len(services[i].virtual):]
	}
	return nil
}

// addLive adds up what is open in the service's virtual services, which have its backends
// in the same order.
func (s *Service) addLive(counts [][]int) {
	s.Live = new(int)
	for i := range s.Backends {
		live := 0
		for _, backends := range counts {
			live += backends[i]
		}
		s.Backends[i].Live = &live
		*s.Live += live
	}
}

// ratio divides, and is 0 where there is nothing to share.
func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
