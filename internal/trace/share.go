package trace

import (
	"math/big"
	"slices"

	"natspread/internal/rules"
)

// row is a rule by its chain and its place there, from 1.
type row struct {
	chain string
	place int
}

// sharesOf returns for each rule of the nat table that leads to a backend, or to a chain below a
// service's, which share of the service's new connections it takes: of those with the protocol
// and the port that it is for. What takes open connections only has 0.
func sharesOf(table rules.Table) map[row]float64 {
	shares := map[row]float64{}
	if table.Name != rules.NAT {
		return shares
	}
	packets := map[string][]rules.Packet{}
	for _, chain := range table.Chains {
		service := rules.ServiceOf(chain.Name)
		if service == "" || rules.IsGate(chain.Name) {
			continue
		}
		packets[service] = append(packets[service], packetsOf(chain)...)
		for i, rule := range chain.Rules {
			if rule.Target.Chain != "" || rule.Leads().Kind == rules.DNAT {
				shares[row{chain.Name, i + 1}] = 0
			}
		}
	}
	for service, packets := range packets {
		chain, _ := table.Chain(rules.ServiceChain(service))
		for _, packet := range distinct(packets) {
			if path, err := traceFrom(table, chain, packet); err == nil {
				path.raise(shares)
			}
		}
	}
	return shares
}

// raise raises the shares of the rules that take more of this path than of those before.
func (w *Path) raise(shares map[row]float64) {
	taken := map[row]*big.Rat{}
	w.addTaken(taken)
	for at, share := range taken {
		if before, asked := shares[at]; asked {
			part, _ := share.Float64()
			shares[at] = max(before, part)
		}
	}
}

// addTaken adds up what each rule of a path takes: several rules may lead to its chain.
func (w *Path) addTaken(taken map[row]*big.Rat) {
	for _, hop := range w.Hops {
		at := row{w.Chain, hop.Place}
		if taken[at] == nil {
			taken[at] = new(big.Rat)
		}
		taken[at].Add(taken[at], hop.Taken.Share)
		if hop.Into != nil {
			hop.Into.addTaken(taken)
		}
	}
}

// packetsOf returns a packet for each protocol and port that the rules of a chain ask for. A rule
// that asks for none stands behind those that do, and is met by port 0.
func packetsOf(chain rules.Chain) []rules.Packet {
	var packets []rules.Packet
	for _, rule := range chain.Rules {
		packet := rules.Packet{Protocol: rule.Protocol, Port: rule.DestinationPorts.First}
		if rule.Target.Kind == rules.Accept {
			packet.Destination = rule.Destination.Addr()
		}
		packets = append(packets, packet)
	}
	return packets
}

// distinct returns each packet once. The one address that rules of a service ask for, where its
// connections stay on the balancer, is that of all its packets.
func distinct(packets []rules.Packet) []rules.Packet {
	var all []rules.Packet
	known := map[rules.Packet]bool{}
	own := slices.IndexFunc(packets, func(packet rules.Packet) bool { return packet.Destination.IsValid() })
	for _, packet := range packets {
		if own >= 0 {
			packet.Destination = packets[own].Destination
		}
		if !known[packet] {
			known[packet] = true
			all = append(all, packet)
		}
	}
	return all
}
