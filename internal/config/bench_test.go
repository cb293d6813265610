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

// sharedBackends is a list that all services of sharing and repeating have.
const sharedBackends = "backends = [\"10.0.0.1:80\", { address = \"10.0.0.2:80\", weight = 2 }, \"10.0.0.3:80\"]\n"

// sharing is a config of n services with the backends of one pool, and with defaults.
func sharing(n int) []byte {
	return []byte("[defaults]\nforward = \"accept\"\nsnat = \"none\"\n[pool.web]\n" + sharedBackends + repeated(n, func(i int) string {
		return fmt.Sprintf("[[service]]\nname = \"s%d\"\nlisten = \"192.%d.%d.%d:80\"\npool = \"web\"\n", i, i>>14, i>>7&127, 1+i&127)
	}))
}

// repeating is the config of sharing, written out.
func repeating(n int) []byte {
	return []byte(repeated(n, func(i int) string {
		return fmt.Sprintf("[[service]]\nname = \"s%d\"\nlisten = \"192.%d.%d.%d:80\"\nforward = \"accept\"\nsnat = \"none\"\n%s", i, i>>14, i>>7&127, 1+i&127, sharedBackends)
	}))
}

// TestSharingIsCheap allocates no more for a config with a pool and defaults than for one that is
// written out, and both say the same.
func TestSharingIsCheap(t *testing.T) {
	short, long := sharing(1000), repeating(1000)
	a, err := Parse("f.toml", short)
	b, err2 := Parse("f.toml", long)
	if err != nil || err2 != nil || !a.Equivalent(b) {
		t.Fatal("they differ:", err, err2)
	}
	parse := func(text []byte) func() { return func() { _, _ = Parse("f.toml", text) } }
	if shared, written := testing.AllocsPerRun(1, parse(short)), testing.AllocsPerRun(1, parse(long)); shared > written {
		t.Errorf("%.0f allocations, and %.0f written out", shared, written)
	}
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
		b.Run(fmt.Sprintf("shared/services=%d", n), func(b *testing.B) { benchmarkParse(b, sharing(n)) })
		b.Run(fmt.Sprintf("repeated/services=%d", n), func(b *testing.B) { benchmarkParse(b, repeating(n)) })
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
