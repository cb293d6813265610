package configtest

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"

	"natspread/internal/config"
)

// firstOfAny is the first port of "*", which meets every address: all others' ports
// are lower.
const firstOfAny = 1 << 15

// places gives out listen addresses of one family and shape. No two of them meet.
type places struct {
	*rand.Rand
	shape Shape
	six   bool
	given map[uint64]bool // addresses
	host  uint64          // of those side by side, the last one given out
	ports []uint16        // of one address, in any order, those not given out
	last  uint16          // of ranges of ports, the last port given out
	mixed []*places
}

// newPlaces returns places of which none is given out yet.
func newPlaces(shape Shape, random *rand.Rand, six bool) *places {
	p := &places{Rand: random, shape: shape, six: six, given: map[uint64]bool{}, host: random.Uint64N(1 << 12)}
	switch shape {
	case OneHost:
		for _, port := range random.Perm(firstOfAny - 1) {
			p.ports = append(p.ports, uint16(1+port))
		}
	case Any:
		p.last = firstOfAny
	case Mixed:
		for _, shape := range Shapes()[:Mixed] {
			p.mixed = append(p.mixed, newPlaces(shape, random, six))
		}
	case Comb:
		p.host = 0
	}
	return p
}

// next gives out one more place.
func (p *places) next() config.Listen {
	switch p.shape {
	case Dense:
		p.host += 1 + p.Uint64N(8)/7
		return config.Listen{Addr: p.address(p.host), Ports: onePort([]uint16{80, 80, 80, 443}[p.IntN(4)])}
	case Scattered:
		return config.Listen{Addr: p.address(p.scattered()), Ports: onePort(80)}
	case OneHost:
		port := p.ports[0]
		p.ports = p.ports[1:]
		return config.Listen{Addr: p.address(p.host), Ports: onePort(port)}
	case Ranges:
		if p.last > firstOfAny-400 {
			p.host, p.last = p.host+1, 0
		}
		return config.Listen{Addr: p.address(p.host), Ports: p.ranged(300)}
	case Any:
		return config.Listen{Ports: p.ranged(8)}
	case Mixed:
		return p.mixed[p.IntN(len(p.mixed))].next()
	default:
		p.host = nextTooth(p.host, p.bits())
		return config.Listen{Addr: p.address(p.host), Ports: onePort(80)}
	}
}

// scattered gives out an address that is anywhere.
func (p *places) scattered() uint64 {
	for {
		if host := p.Uint64() & (1<<p.bits() - 1); !p.given[host] {
			p.given[host] = true
			return host
		}
	}
}

// ranged gives out ports above the last ones, a few of them a range up to a width, and
// every other one just beside the last.
func (p *places) ranged(width int) config.Ports {
	p.last += 1 + uint16(p.IntN(4)*p.IntN(2))
	ports := onePort(p.last)
	if p.IntN(4) == 0 {
		ports.Last += uint16(p.IntN(width))
	}
	p.last = ports.Last
	return ports
}

// onePort returns the range that is one port.
func onePort(port uint16) config.Ports { return config.Ports{First: port, Last: port} }

// nextTooth returns the next number of so many bits with as many of them set, and
// behind the last the first with one more: the first numbers have one bit, and so each
// is in a subnet twice as large as the one before.
func nextTooth(tooth uint64, size int) uint64 {
	set := bits.OnesCount64(tooth)
	low := tooth & -tooth
	if tooth == 0 || tooth>>(size-set) == 1<<set-1 {
		return 1<<(set+1) - 1
	}
	ripple := tooth + low
	return ripple | (ripple^tooth)>>2/low
}

// bits returns how many bits the addresses of a shape differ in.
func (p *places) bits() int {
	if p.six {
		return 64
	}
	return 20
}

// address returns the address of a number.
func (p *places) address(host uint64) netip.Addr {
	if p.six {
		raw := [16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(p.shape)}
		binary.BigEndian.PutUint64(raw[8:], host)
		return netip.AddrFrom16(raw)
	}
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], 100<<24|uint32(p.shape)<<20|uint32(host))
	return netip.AddrFrom4(raw)
}
