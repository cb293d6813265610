package main

import (
	"fmt"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore"
)

// serviceStatus is one service in the output of status.
type serviceStatus struct {
	Name        string          `json:"name"`
	Listen      []string        `json:"listen"`
	Protocols   []string        `json:"protocols"`
	Algorithm   string          `json:"algorithm"`
	SNAT        string          `json:"snat"`
	Forward     string          `json:"forward"`     // leave, accept
	Connections uint64          `json:"connections"` // since the last load
	Live        *int            `json:"live"`        // open now; null when connection tracking cannot be read
	Backends    []backendStatus `json:"backends"`

	pools []rules.VirtualService
	head  string // what kind of service it is, for people
}

// backendStatus is one backend in the output of status.
type backendStatus struct {
	Address     string  `json:"address"`
	Weight      int     `json:"weight"`
	Wanted      float64 `json:"wanted"` // share of new connections, 0 to 1
	Seen        float64 `json:"seen"`   // the same, as counted
	Connections uint64  `json:"connections"`
	Live        *int    `json:"live"` // open now, also at a drained backend; null as above
}

// services describes the services of a status from its generation's own config.
func services(found restore.Status) ([]serviceStatus, error) {
	if found.Wanted.Generation == 0 {
		return nil, nil
	}
	name := fmt.Sprintf("generation %d's config", found.Wanted.Generation)
	cfg, err := config.Parse(name, found.Wanted.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot name the services: %w", err)
	}
	described := make([]serviceStatus, len(cfg.Services))
	counts := [2]map[string]map[rules.Target]uint64{
		rules.IPv4: counted(found.Live[rules.IPv4]), rules.IPv6: counted(found.Live[rules.IPv6]),
	}
	for i, service := range cfg.Services {
		family := rules.FamilyOf(service.Backends[0].Addr)
		described[i] = describe(service, counts[family][service.Name])
	}
	return described, nil
}

// counted sums, by service and target, the connections that the kernel counted: a rule
// in the nat table meets each connection once.
func counted(live rules.Saved) map[string]map[rules.Target]uint64 {
	counts := map[string]map[rules.Target]uint64{}
	for _, chain := range live.OwnChains() {
		service := rules.ServiceOf(chain.Name)
		if service == "" {
			continue
		}
		if counts[service] == nil {
			counts[service] = map[rules.Target]uint64{}
		}
		for _, rule := range chain.Rules {
			// A rule that somebody else put there is drift, and counts for nobody.
			if parsed, err := rules.ParseRule(rule.Text); err == nil {
				counts[service][parsed.Target] += rule.Packets
			}
		}
	}
	return counts
}

// describe describes one service with the connections that each target got.
func describe(service config.Service, counts map[rules.Target]uint64) serviceStatus {
	described := serviceStatus{
		Name: service.Name, Algorithm: string(service.Algorithm), SNAT: service.SNAT.String(), Forward: string(service.Forward), head: headOf(service),
		Backends: make([]backendStatus, len(service.Backends)), pools: render.VirtualServices(service),
	}
	described.Listen = listens(service)
	described.Protocols = protocols(service)
	weights := 0
	for i, backend := range service.Backends {
		weights += backend.Weight
		connections := counts[rules.Target{Kind: rules.DNAT, Address: backend.Addr, Port: backend.Port}]
		described.Connections += connections
		described.Backends[i] = backendStatus{Address: backend.String(), Weight: backend.Weight, Connections: connections}
	}
	for i := range described.Backends {
		backend := &described.Backends[i]
		backend.Wanted = ratio(float64(backend.Weight), float64(weights))
		backend.Seen = ratio(float64(backend.Connections), float64(described.Connections))
	}
	return described
}

// listens returns what clients of a service connect to.
func listens(service config.Service) []string {
	words := make([]string, len(service.Listen))
	for i, listen := range service.Listen {
		words[i] = listen.String()
	}
	return words
}

// protocols returns the protocols of a service.
func protocols(service config.Service) []string {
	words := make([]string, len(service.Protocols))
	for i, protocol := range service.Protocols {
		words[i] = string(protocol)
	}
	return words
}

// headOf says what kind of service it is: where it listens, how it spreads, what
// backends see, and whether FORWARD lets it through.
func headOf(service config.Service) string {
	head := fmt.Sprintf("%s %s  %s, snat %s", strings.Join(protocols(service), "+"), strings.Join(listens(service), " "), service.Algorithm, service.SNAT)
	if service.Forward == config.Accept {
		head += ", forward accept"
	}
	return head
}

// ratio divides, and is 0 where there is nothing to share.
func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// text returns the service for people: a line of its own and one a backend.
func (s serviceStatus) text() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s  %s  %d connections%s\n", s.Name, s.head, s.Connections, liveText(", %d live", s.Live))
	var address, weight, connections, live int // as wide as the widest
	for _, backend := range s.Backends {
		address, weight = max(address, len(backend.Address)), max(weight, len(fmt.Sprint(backend.Weight)))
		connections, live = max(connections, len(fmt.Sprint(backend.Connections))), max(live, len(liveText("%d", backend.Live)))
	}
	for _, backend := range s.Backends {
		line := fmt.Sprintf("  %-*s  weight %-*d  wanted %8s  seen %8s  %*d%s  %s", address, backend.Address, weight, backend.Weight,
			percent(backend.Wanted), percent(backend.Seen), connections, backend.Connections,
			liveText(fmt.Sprintf("  live %%%dd", live), backend.Live), bar(backend.Seen))
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return text.String()
}

// liveText writes a number of live connections, and nothing for one that is unknown.
func liveText(format string, live *int) string {
	if live == nil {
		return ""
	}
	return fmt.Sprintf(format, *live)
}

// bar draws a share as a bar of at most 20 characters.
func bar(share float64) string { return strings.Repeat("#", int(share*20+0.5)) }
