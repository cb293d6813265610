package render

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
)

// sharedConfig is a config of n services, each ten with a pool, and with defaults; written out is the
// same with all of that in each service.
func sharedConfig(n int) (shared, written []byte) {
	var short, long strings.Builder
	const defaults = "snat = \"none\"\nalgorithm = \"round-robin\"\non_remove = \"reset\"\nforward = \"accept\"\nclamp_mss = true\n"
	short.WriteString("[defaults]\n" + defaults)
	for i := range n {
		pool := i / 10
		backends := fmt.Sprintf("backends = [\"10.0.%d.%d:80\", { address = \"10.1.%d.%d:80\", weight = 2 }, \"10.2.%d.%d:80\"]\n", pool>>7, 1+pool&127, pool>>7, 1+pool&127, pool>>7, 1+pool&127)
		if i%10 == 0 {
			fmt.Fprintf(&short, "[pool.p%d]\n%s", pool, backends)
		}
		service := fmt.Sprintf("[[service]]\nname = \"s%d\"\nlisten = \"192.%d.%d.%d:80\"\n", i, i>>14, i>>7&127, 1+i&127)
		short.WriteString(service + fmt.Sprintf("pool = \"p%d\"\n", pool))
		long.WriteString(service + defaults + backends)
	}
	return []byte(short.String()), []byte(long.String())
}

// BenchmarkShared is parse and plan of 10,000 services through pools and defaults, beside the same
// config written out: at most 1.1 times the time of the processors is wanted. It takes both in
// turns, and the ratio is the median of the rounds' own, whatever else the machine does.
func BenchmarkShared(b *testing.B) {
	shared, written := sharedConfig(10_000)
	plan := func(text []byte) time.Duration {
		runtime.GC() // of what was made before
		start := processTime(b)
		cfg, err := config.Parse("f.toml", text)
		if err != nil {
			b.Fatal(err)
		}
		New(cfg)
		return processTime(b) - start
	}
	var ratios, short, long []float64
	for b.Loop() {
		first, second := plan(shared), plan(written)
		ratios = append(ratios, float64(first)/float64(second))
		short, long = append(short, first.Seconds()*1000), append(long, second.Seconds()*1000)
	}
	for unit, samples := range map[string][]float64{"shared/written": ratios, "ms-shared": short, "ms-written": long} {
		slices.Sort(samples)
		b.ReportMetric(samples[len(samples)/2], unit)
	}
	b.ReportMetric(0, "ns/op")
}

// processTime returns how long processors have worked for this process.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestSharedIsTheSame plans the same from both.
func TestSharedIsTheSame(t *testing.T) {
	t.Parallel()
	shared, written := sharedConfig(30)
	a, err := config.Parse("f.toml", shared)
	b, errB := config.Parse("f.toml", written)
	if err != nil || errB != nil || !a.Equivalent(b) || !New(a).Equal(New(b)) {
		t.Error("they differ:", err, errB)
	}
}
