package configtest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/test/testsize"
)

// Shape is how the listen addresses of a large config lie.
type Shape int

// The shapes.
const (
	Dense     Shape = iota // one address beside the other
	Scattered              // anywhere in a /12, in IPv6 in a /32
	OneHost                // one address and many ports
	Ranges                 // ranges of ports, often side by side
	Any                    // "*" and many ports
	Mixed                  // services of all those
	Comb                   // in each of ever smaller subnets: the worst for a tree that parts at fixed bits
)

// Shapes lists every shape.
func Shapes() []Shape { return []Shape{Dense, Scattered, OneHost, Ranges, Any, Mixed, Comb} }

// String names the shape.
func (s Shape) String() string {
	return [...]string{"dense", "scattered", "one host", "ranges", "any", "mixed", "comb"}[s]
}

// MaxServices is how many services a large config has at most.
const MaxServices = 2000

// MostServices is how many services the largest configs have in this run of the tests.
func MostServices() int { return testsize.Of(MaxServices/5, MaxServices) }

// Large generates large configs of a few shapes, one in sixteen with up to
// MostServices services: see Fill.
func Large(shapes ...Shape) *rapid.Generator[config.Config] {
	return rapid.Custom(func(t *rapid.T) config.Config {
		most := testsize.Of(MaxServices/40, MaxServices/10)
		if rapid.IntRange(0, 15).Draw(t, "many") == 15 {
			most = MostServices()
		}
		shape := rapid.SampledFrom(shapes).Draw(t, "shape")
		return Fill(shape, rapid.IntRange(1, most).Draw(t, "services"), rapid.Uint64().Draw(t, "seed"))
	})
}

// Fill returns what config.Parse can return, of both families and with so many
// services, at most MaxServices; the same for the same seed. A draw for each of so many
// values would take a generator minutes.
func Fill(shape Shape, services int, seed uint64) config.Config {
	random := rand.New(rand.NewPCG(seed, uint64(shape)))
	four, six := newFiller(shape, random, false), newFiller(shape, random, true)
	var cfg config.Config
	for i := range services {
		filler := four
		if random.IntN(3) == 0 {
			filler = six
		}
		cfg.Services = append(cfg.Services, filler.service(fmt.Sprintf("%c-%x", 'a'+random.IntN(26), i)))
	}
	return cfg
}

// filler makes up the services of one family.
type filler struct {
	*rand.Rand
	six    bool
	places *places
	left   left // for the next service

	answering map[netip.Addr]bool // backends of services with takeover
}

// left is where a service left protocols to others.
type left struct {
	listens   []config.Listen
	protocols []config.Protocol
}

// newFiller returns a filler that has claimed nothing yet.
func newFiller(shape Shape, random *rand.Rand, six bool) *filler {
	return &filler{Rand: random, six: six, places: newPlaces(shape, random, six), answering: map[netip.Addr]bool{}}
}

// service makes up a service.
func (f *filler) service(name string) config.Service {
	made := config.Service{Name: name, Algorithm: config.Random, Local: f.IntN(8) > 0, OnRemove: config.Drain, Forward: config.Leave, SNATPorts: config.KeepPorts, Backends: f.backends()}
	made.Algorithm = []config.Algorithm{config.Random, config.Random, config.Random, config.Random, config.Random, config.RoundRobin, config.RoundRobin, config.Source}[f.IntN(8)]
	if f.IntN(4) == 0 {
		made.Forward = config.Accept
	}
	if f.IntN(8) == 0 {
		made.Interfaces = []string{fmt.Sprint("eth", f.IntN(4))}
	}
	f.listen(&made)
	f.weigh(made)
	f.check(&made)
	if choices := slotCounts(made); len(choices) > 0 {
		made.Slots, made.SourcePrefix = choices[0], made.Backends[0].Addr.BitLen()
	}
	switch made.SNAT.Mode = config.SNATMode(f.IntN(3)); made.SNAT.Mode {
	case config.Address:
		if made.SNAT.Addr = f.address(sources, f.IntN(3)); f.IntN(4) == 0 {
			made.SNAT = f.farApart()
		}
	case config.None:
		for range f.IntN(4) {
			made.Hairpin = append(made.Hairpin, f.hairpin(len(made.Hairpin)))
		}
		f.takeOver(&made)
	}
	return made
}

// listen gives a service places and protocols that nobody has claimed: mostly one
// place, now and then a whole block, and sometimes what the last one left.
func (f *filler) listen(made *config.Service) {
	if len(f.left.protocols) > 0 && f.IntN(2) == 0 {
		made.Listen, made.Protocols = f.left.listens, f.left.protocols
		f.left = left{}
		return
	}
	count := 1
	switch f.IntN(16) {
	case 0:
		count = 1 + f.IntN(40)
	case 1, 2:
		count = 2
	}
	for range count {
		made.Listen = append(made.Listen, f.places.next())
	}
	all := []config.Protocol{config.TCP, config.UDP, config.SCTP}
	f.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	n := 1 + f.IntN(len(all))*f.IntN(2)
	made.Protocols, f.left = all[:n:n], left{made.Listen, all[n:]}
}

// backends makes up backends that differ: three or so, now and then up to 300. Services
// share them.
func (f *filler) backends() []config.Backend {
	count := 1 + f.IntN(5)
	if f.IntN(100) == 0 {
		count = 1 + f.IntN(300)
	}
	first := f.IntN(2000)
	all := make([]config.Backend, count)
	for i := range all {
		all[i].Addr = f.address(serving, first+i)
		if f.IntN(4) > 0 {
			all[i].Port = uint16(8000 + f.IntN(3))
		}
	}
	return all
}

// weigh makes up weights, for round-robin such that the period stays short.
func (f *filler) weigh(service config.Service) {
	highest := []int{1, 1, 9, config.MaxWeight}[f.IntN(4)]
	lowest, factor := min(1, f.IntN(4)), 1
	if service.Algorithm == config.RoundRobin {
		highest = min(highest, 10)
		factor = 1 + f.IntN(config.MaxWeight/10)
	}
	for i := range service.Backends {
		service.Backends[i].Weight = factor * (lowest + f.IntN(highest-lowest+1))
	}
}

// hairpin makes up the subnet of clients of a number: those of two numbers differ.
func (f *filler) hairpin(number int) netip.Prefix {
	client := f.address(clients, number<<8)
	return netip.PrefixFrom(client, client.BitLen()-f.IntN(9)).Masked()
}

// address returns the address of a number, at most 16 bits, for a use.
func (f *filler) address(for_ use, number int) netip.Addr {
	if f.six {
		return netip.AddrFrom16([16]byte{0: 0xfd, 12: byte(for_), 14: byte(number >> 8), 15: byte(number)})
	}
	return netip.AddrFrom4([4]byte{byte(for_), 0, byte(number >> 8), byte(number)})
}
