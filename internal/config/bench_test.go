package config

import (
	"fmt"
	"strings"
	"testing"
)

// manyServices is a config of n services with three backends each, every one at
// an address of its own.
func manyServices(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `[[service]]
name     = "s%d"
listen   = "192.%d.%d.%d:80"
protocol = "tcp"
snat     = "masquerade"
backends = [
  "10.0.%d.%d:80",
  { address = "10.1.%d.%d:80", weight = 2 },
  { address = "10.2.%d.%d:80", weight = 3 },
]

`, i, i>>14, i>>7&127, 1+i&127, i>>7, 1+i&127, i>>7, 1+i&127, i>>7, 1+i&127)
	}
	return []byte(b.String())
}

// TestParseManyServices parses ten thousand services of three backends.
func TestParseManyServices(t *testing.T) {
	c, err := Parse("f.toml", manyServices(10000))
	if err != nil {
		t.Fatal(err)
	}
	backends := 0
	for _, s := range c.Services {
		backends += len(s.Backends)
	}
	if len(c.Services) != 10000 || backends != 30000 {
		t.Errorf("got %d services with %d backends", len(c.Services), backends)
	}
}

// BenchmarkParse shows that the cost of a config grows with its size and no
// faster, good or full of clashes.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		good := manyServices(n)
		bad := append(good, good...) // every name and address twice
		checked := []byte(strings.ReplaceAll(string(good), "snat     =", "check    = { type = \"tcp\", interval = \"15s\" }\nsnat     ="))
		b.Run(fmt.Sprintf("good/services=%d", n), func(b *testing.B) { benchmarkParse(b, good) })
		b.Run(fmt.Sprintf("checked/services=%d", n), func(b *testing.B) { benchmarkParse(b, checked) })
		b.Run(fmt.Sprintf("clashing/services=%d", n), func(b *testing.B) { benchmarkParse(b, bad) })
	}
}

// benchmarkParse parses one text again and again.
func benchmarkParse(b *testing.B, data []byte) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Parse("f.toml", data)
	}
}
