package packetpath

import (
	"net/netip"
	"strings"

	"natspread/internal/rules"
)

// crowd is packets with what finds those that a rule matches.
type crowd struct {
	packets   []Packet
	classes   []class
	addresses [2]places[netip.Addr] // by the destination, and by what the client sent it to
	ports     [2]places[uint16]
}

// class is packets that are alike in all that is no address and no port.
type class struct {
	one     *Packet
	packets set
}

// alike is what the packets of a class have in common.
type alike struct {
	in, out, protocol, states string
	family                    rules.Family
	toHost                    bool
}

// places are the places of packets by what they have. Those of which it is not known have
// the zero value.
type places[K comparable] map[K][]int

// newCrowd sorts packets.
func newCrowd(packets []Packet) crowd {
	c := crowd{packets: packets}
	known := map[alike]int{}
	for i := range packets {
		p := &packets[i]
		key := alike{p.In, p.Out, p.Protocol, strings.Join(p.States, ","), p.Family, p.ToHost}
		place, found := known[key]
		if !found {
			place = len(c.classes)
			known[key] = place
			c.classes = append(c.classes, class{p, newSet(len(packets))})
		}
		c.classes[place].packets.add(i)
	}
	return c
}

// match returns those of some packets that a rule matches, by how sure that is; nil for none.
func (c *crowd) match(r *rule, in set) (matched [yes + 1]set) {
	by := func(a answer) set {
		if matched[a] == nil {
			matched[a] = newSet(len(c.packets))
		}
		return matched[a]
	}
	if r.conditions.about() == ofClass {
		for _, class := range c.classes {
			if a := r.conditions.all(class.one); a != no {
				by(a).or(class.packets.and(in))
			}
		}
		return matched
	}
	for _, list := range c.near(r.exact, in) {
		for _, i := range list {
			if !in.has(i) {
				continue
			}
			if a := r.conditions.all(&c.packets[i]); a != no {
				by(a).add(i)
			}
		}
	}
	return matched
}

// near returns the places of the packets that may have what a rule asks for exactly: those of
// the given ones where it asks for nothing exact.
func (c *crowd) near(e exactly, in set) [2][]int {
	switch {
	case e.destination.IsValid():
		return look(&c.addresses[0], c.packets, e.destination, destinationOf)
	case e.origDst.IsValid():
		return look(&c.addresses[1], c.packets, e.origDst, origDstOf)
	case e.port != 0:
		return look(&c.ports[0], c.packets, e.port, destinationPortOf)
	case e.origPort != 0:
		return look(&c.ports[1], c.packets, e.origPort, origPortOf)
	}
	return [2][]int{in.members()}
}

// look returns the places of packets that have a value, and of those of which it is not
// known. It sorts them when it is first asked.
func look[K comparable](known *places[K], packets []Packet, value K, of field[K]) [2][]int {
	if *known == nil {
		*known = places[K]{}
		for i := range packets {
			at := of(&packets[i])
			(*known)[at] = append((*known)[at], i)
		}
	}
	var zero K
	return [2][]int{(*known)[value], (*known)[zero]}
}
