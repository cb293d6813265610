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

// BenchmarkUpdate is what one backend that goes costs among many services: at most 20 times as
// much among 10,000 as among 10 is wanted of the whole change. For each number of services
// there is what planning all of them costs.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		cfg := manyServices(n)
		starred := manyServices(n)
		starred.Services[n/2].Listen[0] = config.Listen{Ports: config.Ports{First: 80, Last: 80}}
		for name, cfg := range map[string]config.Config{"address": cfg, "any": starred} {
			before := New(cfg)
			cfg.Services[n/2].Backends[0].Drain = true
			b.Run(fmt.Sprintf("one/%s/services=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Update(before, cfg, []int{n / 2})
				}
			})
		}
		b.Run(fmt.Sprintf("all/services=%d", n), func(b *testing.B) {
			for b.Loop() {
				New(cfg)
			}
		})
	}
}
