package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
	"natspread/internal/lab/netns"
)

// benchBulk measures what established connections pay for rules: the rate of one
// connection with one service and with 5,000, when all takes place on one processor,
// so that whatever a packet costs is in the rate.
func benchBulk(opts options, out io.Writer) error {
	size := opts.sizes()
	m := maker{made: 100, perBackend: 1, talk: swallow(size.bulk)}
	defer m.stop()
	err := m.make(wayRouting, article().backends[0], nil)
	for _, variant := range opts.variants() {
		for _, n := range []int{1, size.many} {
			for _, forward := range forwards {
				err = errors.Join(err, m.make(bulkName(n, forward, variant), article().listen, func(s *site) error {
					rules, err := natspreadWith(append(byAddress(n-1), article()), fmt.Sprintf("forward = %q", forward))
					if err != nil {
						return err
					}
					return loadRules(s.balancer, variant, rules)
				}))
			}
		}
	}
	for _, p := range opts.proxies {
		err = errors.Join(err, m.proxy(p))
	}
	if err != nil {
		return err
	}
	f := figures{map[string][]float64{}, out}
	if err := inTurns(m.ways, opts.rounds, f.samples, func(w way) (map[string]float64, error) { return w.bulk(size.bulk) }); err != nil {
		return err
	}
	f.bulkReport(opts, m.ways)
	return nil
}

// forwards are what FORWARD does with the services' connections: every packet of them
// meets what lets them through.
var forwards = []config.Forward{config.Leave, config.Accept}

// bulkName is the name of natspread with so many services.
func bulkName(services int, forward config.Forward, variant string) string {
	name := wayOurs + ", 1 service"
	if services > 1 {
		name = fmt.Sprintf("%s, %s services", wayOurs, thousands(services))
	}
	if forward == config.Accept {
		name += " accepted"
	}
	return name + ", " + variant
}

// bulkReport prints the rates and what was promised.
func (f figures) bulkReport(opts options, ways []way) {
	fmt.Fprintf(f.out, "\nbulk: MB a second of one connection, all on one processor; medians of %d rounds\n\n", opts.rounds)
	for _, w := range ways {
		fmt.Fprintf(f.out, "%-62s %s\n", w.name, spread(f.samples["bulk "+w.name]))
	}
	fmt.Fprintln(f.out)
	for _, variant := range opts.variants() {
		one := "bulk " + bulkName(1, config.Leave, variant)
		f.atLeast("bulk "+bulkName(opts.sizes().many, config.Leave, variant), one, 0.97)
		for _, n := range []int{1, opts.sizes().many} {
			f.atLeast("bulk "+bulkName(n, config.Accept, variant), one, 0)
		}
	}
}

// bulk sends so many bytes over one connection and returns MB a second.
func (w way) bulk(amount int) (map[string]float64, error) {
	_, last, err := processors()
	if err != nil {
		return nil, err
	}
	if err := w.place(last); err != nil {
		return nil, err
	}
	var rate float64
	err = netns.Within(w.site.client, func() error {
		nicest()
		if err := unix.SchedSetaffinity(0, &last); err != nil {
			return os.NewSyscallError("sched_setaffinity", err)
		}
		took, err := pour(w.alone, amount)
		rate = float64(amount) / 1e6 / took.Seconds()
		return err
	})
	return map[string]float64{"bulk": rate}, errors.Join(err, flush(w.netlink))
}

// pour sends so many bytes and waits for the answer to the last of them.
func pour(to netip.AddrPort, amount int) (took time.Duration, err error) {
	fd, begin, err := connect(sockaddr(to), 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	buffer := make([]byte, 128<<10)
	for sent := 0; sent < amount; {
		n, err := unix.Write(fd, buffer[:min(len(buffer), amount-sent)])
		if err != nil && err != unix.EINTR {
			return 0, os.NewSyscallError("write", err)
		}
		sent += max(n, 0)
	}
	var answers tally
	err = answers.read(fd)
	return time.Since(begin), err
}

// swallow takes so many bytes, without copying them, and then says the number.
func swallow(amount int) func(fd int, number byte) {
	return func(fd int, number byte) {
		buffer := make([]byte, 1<<20)
		for taken := 0; taken < amount; {
			n, _, err := unix.Recvfrom(fd, buffer, unix.MSG_TRUNC)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				return
			}
			taken += n
		}
		sayNumber(fd, number)
	}
}
