// Package astray finds backends that packets go to as they go to everybody: an address that is
// mistyped, or a subnet that the host lost its address in, is routed to the internet.
package astray

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/text"
	"natspread/restore/flows"
)

// Host is what is looked at.
type Host struct {
	network.Network
	Services []config.Service
}

// Doubt is what is to be said of some backends.
type Doubt struct {
	Backends []netip.Addr
	What     string
	Fix      string // the line to type; "" where there is none
}

// cause is why it may be wrong that only the default route leads to some backends.
type cause struct {
	via      string // where it leads
	services string
	near     network.Address // of the host, beside another backend of the service; the zero Address where there is none
	like     netip.Addr      // that backend
	bare     string          // interfaces that are up and have no address
}

// Find judges backends that Away is true of; of says whose they are. One that has answered is well, and a
// route of its own says that it is meant, unless something else speaks against that. Another route to the same router mends nothing, so it is no fix.
func (h Host) Find(addrs []netip.Addr, of map[netip.Addr][]string) []Doubt {
	answered := answering(addrs)
	near := h.nearBackends()
	var causes []cause
	all := map[cause][]netip.Addr{}
	for _, addr := range addrs {
		to, err := h.RouteTo(addr)
		if err != nil {
			continue
		}
		why := cause{via: to.Via()}
		if addr.IsPrivate() {
			why.bare = h.bare(rules.FamilyOf(addr))
		}
		for _, name := range of[addr] {
			if one, known := near[name]; known {
				why = cause{via: to.Via(), services: text.Few(of[addr]), near: one.near, like: one.addr}
				break
			}
		}
		mixed := why.near.Addr.IsValid()
		works := answered[addr] && why.bare == "" // what lost its address has answered before that
		if !works && (to.ByDefault || why.bare != "" || mixed) {
			if all[why] == nil {
				causes = append(causes, why)
			}
			all[why] = append(all[why], addr)
		}
	}
	var found []Doubt
	for _, why := range causes {
		found = append(found, h.byDefault(all[why], why))
	}
	return found
}

// Away tells whether a route leads where the default route does, or is one to the same router.
func (h Host) Away(addr netip.Addr, to network.Route) bool {
	if to.ByDefault {
		return true
	}
	away, there := h.Default(rules.FamilyOf(addr))
	return there && to.Gateway.IsValid() && to.Gateway == away.Gateway && to.Link == away.Link
}

// answering returns which of some backends have answered a connection: the route to those works.
// Where connections cannot be listed, nothing is known to answer.
func answering(addrs []netip.Addr) map[netip.Addr]bool {
	answered, asked := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for _, addr := range addrs {
		asked[addr] = true
	}
	for _, family := range rules.Families() {
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return rules.FamilyOf(a) == family }) {
			_ = flows.Each(context.Background(), family, func(f flows.Entry) {
				if from := f.ReplySrc.Addr(); f.SeenReply && asked[from] {
					answered[from] = true
				}
			})
		}
	}
	return answered
}

// nearBackend is a backend beside the host, with the address that the host has there.
type nearBackend struct {
	addr netip.Addr
	near network.Address
}

// nearBackends returns one of each service that has any.
func (h Host) nearBackends() map[string]nearBackend {
	all := map[string]nearBackend{}
	for _, service := range h.Services {
		for _, backend := range service.Active() {
			if near := h.Beside(backend.Addr); len(near) > 0 && near[0].Link.Up {
				all[service.Name] = nearBackend{backend.Addr, near[0]}
				break
			}
		}
	}
	return all
}

// bare names the interfaces that are up and lack an address of a family, as one does whose
// address was lost. Those of containers, parts of a bridge and what VLANs stand on have none on
// purpose: where there are many, none is named.
func (h Host) bare(family rules.Family) string {
	var names []string
	for _, link := range h.Links {
		has := slices.ContainsFunc(h.Addresses, func(a network.Address) bool {
			return a.Link.Index == link.Index && rules.FamilyOf(a.Addr) == family && !a.Addr.IsLinkLocalUnicast()
		})
		below := slices.ContainsFunc(h.Links, func(l network.Link) bool { return l.Parent == link.Index })
		if link.Up && !link.NoARP && !below && link.Master == 0 && link.Name != "lo" && link.Kind != "vrf" && !has {
			names = append(names, link.Name)
		}
	}
	if len(names) > 3 {
		return ""
	}
	return strings.Join(names, ", ")
}

// byDefault is the finding of backends that only the default route leads to.
func (h Host) byDefault(backends []netip.Addr, why cause) Doubt {
	verb := "is"
	if len(backends) > 1 {
		verb = "are"
	}
	found := Doubt{Backends: backends, What: fmt.Sprintf("%s %s on no subnet of the host, and packets go there as to everybody, %s", text.Few(backends), verb, why.via)}
	switch {
	case why.near.Addr.IsValid():
		found.What += fmt.Sprintf(", while %v of service %s is on %s: a typing error, or does %[3]s lack an address?", why.like, why.services, why.near.Link.Name)
		meant := "the address that is meant"
		if guess, likely := h.meant(backends[0], why.near); likely {
			meant = guess.String()
		}
		found.Fix = inconfig.Line(why.services, fmt.Sprintf("%s for %v", meant, backends[0]))
	case why.bare != "":
		found.What += fmt.Sprintf(": does %s lack an address?", why.bare)
		first, _, _ := strings.Cut(why.bare, ",")
		found.Fix = fmt.Sprintf("ip address add ADDRESS/LENGTH dev %s # one beside %s; for good: in whatever sets %[1]s up at boot", first, text.Few(backends))
	default:
		found.What += ": if that is not meant, an address or a route is missing"
	}
	return found
}

// meant returns the address in a subnet of the host that ends as one that may be mistyped, where nobody
// has that yet.
func (h Host) meant(typed netip.Addr, near network.Address) (guess netip.Addr, likely bool) {
	bytes, subnet := typed.AsSlice(), near.Subnet.Addr().AsSlice()
	if len(bytes) != len(subnet) {
		return netip.Addr{}, false
	}
	for i := range bytes {
		mask := byte(0xff) << max(0, min(8, 8*(i+1)-near.Subnet.Bits()))
		bytes[i] = subnet[i]&mask | bytes[i]&^mask
	}
	guess, _ = netip.AddrFromSlice(bytes)
	_, held := h.Holder(guess)
	used := slices.ContainsFunc(h.Services, func(s config.Service) bool {
		return slices.ContainsFunc(s.Backends, func(b config.Backend) bool { return b.Addr == guess })
	})
	last := !near.Subnet.Contains(guess.Next())
	return guess, !held && !used && !last && guess != near.Subnet.Addr()
}
