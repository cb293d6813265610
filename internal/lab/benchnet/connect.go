package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
)

// atATime is how many connections are open at once where it is more than one.
const atATime = 16

// The names of ways.
const (
	wayRouting = "routing"
	wayOurs    = "natspread"
)

// benchConnect measures whole connections with real sockets through the article's
// balancer: routing to a backend, natspread, and balancers that are processes.
func benchConnect(opts options, out io.Writer) error {
	ways, stop, err := makeWays(opts)
	defer stop()
	if err != nil {
		return err
	}
	f := figures{map[string][]float64{}, out}
	size := opts.sizes()
	err = errors.Join(
		inTurns(ways, opts.rounds, f.samples, func(w way) (map[string]float64, error) { return w.cost(size.costed) }),
		inTurns(ways, opts.rounds, f.samples, func(w way) (map[string]float64, error) { return w.latency(size.timed) }),
		inTurns(ways, opts.rounds, f.samples, func(w way) (map[string]float64, error) { return w.rate(size.rated) }),
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nwhole connections (connect, one byte from the backend, reset) through the article's balancer;\nmedians of %d rounds\n\n", opts.rounds)
	f.connectTable(ways)
	f.connectTargets(ways, opts.proxies)
	return nil
}

// makeWays sets up every way. The processes that it started end with stop.
func makeWays(opts options) (ways []way, stop func(), err error) {
	m := maker{perBackend: 2, talk: sayNumber}
	err = m.make(wayRouting, article().backends[0], nil)
	for _, variant := range opts.variants() {
		rules, failure := natspreadText(config.Example())
		err = errors.Join(err, failure, m.make(wayOurs+", "+variant, article().listen, func(s *site) error {
			return loadRules(s.balancer, variant, rules)
		}))
	}
	for _, p := range opts.proxies {
		err = errors.Join(err, m.proxy(p))
	}
	return m.ways, m.stop, err
}

// cost measures the processor's time that a whole connection takes: client,
// balancer, backend and the kernel's part for each. All of them share one
// processor and keep it busy, so that its time is what the clock shows, less what
// the kernel says that it idled.
func (w way) cost(n int) (map[string]float64, error) {
	_, last, err := processors()
	if err != nil {
		return nil, err
	}
	if err := w.place(last); err != nil {
		return nil, err
	}
	before, err := idle(last)
	if err != nil {
		return nil, err
	}
	took, answers, err := w.flood(w.alone, n, atATime, last)
	if err != nil {
		return nil, err
	}
	after, err := idle(last)
	if err != nil {
		return nil, err
	}
	busy := took - (after - before)
	return map[string]float64{"cost": float64(busy.Nanoseconds()) / 1e3 / float64(n)}, w.judge(answers, n)
}

// latency measures single connections, one after another, anywhere.
func (w way) latency(n int) (map[string]float64, error) {
	if err := w.placeAnywhere(); err != nil {
		return nil, err
	}
	took, answers, err := w.oneByOne(w.to, n)
	if err != nil {
		return nil, err
	}
	micros := make([]float64, len(took))
	for i, t := range took {
		micros[i] = float64(t.Nanoseconds()) / 1e3
	}
	return map[string]float64{"p50": median(micros), "p99": quantile(micros, 0.99)}, w.judge(answers, n)
}

// rate measures connections per second on all processors.
func (w way) rate(n int) (map[string]float64, error) {
	if err := w.placeAnywhere(); err != nil {
		return nil, err
	}
	all, _, err := processors()
	if err != nil {
		return nil, err
	}
	took, answers, err := w.flood(w.to, n, atATime, all)
	return map[string]float64{"rate": float64(n) / took.Seconds()}, errors.Join(err, w.judge(answers, n))
}

// placeAnywhere lets the servers run on every processor.
func (w way) placeAnywhere() error {
	all, _, err := processors()
	if err != nil {
		return err
	}
	return w.place(all)
}

// judge makes sure that the backends answered all connections, each its part.
func (w way) judge(answers tally, n int) error {
	total := 0
	for i, count := range answers {
		total += count
		if count == 0 && (w.name != wayRouting || i == 0) {
			return fmt.Errorf("a backend answered no connection of %d: %v", n, answers)
		}
	}
	if total != n {
		return fmt.Errorf("%d connections of %d were answered", total, n)
	}
	return nil
}

// idle returns how long processors have been idle since the machine began, in
// steps of 10 ms.
func idle(cpus unix.CPUSet) (total time.Duration, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var cpu, user, nice, system, idle, wait int
		n, _ := fmt.Sscanf(line, "cpu%d %d %d %d %d %d", &cpu, &user, &nice, &system, &idle, &wait)
		if n == 6 && cpus.IsSet(cpu) {
			total += time.Duration(idle+wait) * 10 * time.Millisecond
		}
	}
	return total, nil
}

// connectTable prints a line for each way.
func (f figures) connectTable(ways []way) {
	fmt.Fprintf(f.out, "%-20s %14s %14s %12s %12s %14s\n", "", "CPU, µs each", "added by it", "p50, µs", "p99, µs", "a second")
	for _, w := range ways {
		of := func(figure string) float64 { return median(f.samples[figure+" "+w.name]) }
		fmt.Fprintf(f.out, "%-20s %14.2f %14.2f %12.1f %12.1f %14.0f\n", w.name,
			of("cost"), median(f.samples[f.less("cost "+w.name, "cost "+wayRouting)]), of("p50"), of("p99"), of("rate"))
	}
	fmt.Fprintln(f.out)
}

// connectTargets prints the ratios that were promised.
func (f figures) connectTargets(ways []way, proxies []proxy) {
	for _, ours := range ways {
		if !strings.HasPrefix(ours.name, wayOurs) {
			continue
		}
		for _, p := range proxies {
			added := func(figure, way string) string { return f.less(figure+" "+way, figure+" "+wayRouting) }
			f.ratio(added("cost", ours.name), added("cost", p.name), 1./4)
			f.ratio("p50 "+ours.name, "p50 "+p.name, 1./2)
			f.ratio(added("p50", ours.name), added("p50", p.name), 0)
			f.ratio("rate "+ours.name, "rate "+p.name, 0)
		}
	}
}
