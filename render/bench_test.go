package render

import (
	"fmt"
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// manyServices is a config of n services with three backends each, every one at
// an address of its own.
func manyServices(n int) config.Config {
	services := make([]config.Service, n)
	for i := range services {
		host := func(first byte) netip.Addr {
			return netip.AddrFrom4([4]byte{first, byte(i >> 16), byte(i >> 8), byte(i)})
		}
		services[i] = config.Service{
			Name:      fmt.Sprintf("s%d", i),
			Listen:    []config.Listen{{Addr: host(100), Ports: config.Ports{First: 80, Last: 80}}},
			Protocols: []config.Protocol{config.TCP},
			Backends: []config.Backend{
				{Addr: host(10), Port: 80, Weight: 1},
				{Addr: host(11), Port: 80, Weight: 2},
				{Addr: host(12), Port: 80, Weight: 3},
			},
			Algorithm: config.Random,
			Local:     true,
		}
	}
	return config.Config{Services: services}
}

// BenchmarkRender10000x3 is the whole way from a checked config to both
// families' text: at most 150 ms and 150 MB are wanted.
func BenchmarkRender10000x3(b *testing.B) {
	cfg := manyServices(10000)
	b.ReportAllocs()
	for b.Loop() {
		plan := New(cfg)
		size := 0
		for _, family := range rules.Families() {
			size += len(plan.Of(family).Text())
		}
		b.SetBytes(int64(size))
	}
}
