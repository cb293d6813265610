// Command disruption exists to compute how many open connections change their backend when a
// pool changes, beside Maglev's table and plain rendezvous, and how many of them a balancer
// that dies then costs: the tables of docs/fleet.md. It must not know rules or kernels.
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"

	"natspread/internal/slots"
)

// clients are drawn for each number: enough for three digits.
const clients = 200_000

// pool returns backends of which the last ones are those that come or go.
func pool(count int) []netip.AddrPort {
	var all []netip.AddrPort
	for i := range count {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80))
	}
	return all
}

// method picks a backend for a client, a number of 64 bits.
type method struct {
	name string
	pick func(backends []netip.AddrPort) func(client uint64) netip.AddrPort
}

// methods are what is compared.
func methods() []method {
	return []method{
		{"natspread", bySlots},
		{"Maglev", func(backends []netip.AddrPort) func(uint64) netip.AddrPort {
			table := maglev(backends, maglevSize)
			return func(client uint64) netip.AddrPort { return backends[table[client%maglevSize]] }
		}},
		{"rendezvous", func(backends []netip.AddrPort) func(uint64) netip.AddrPort {
			return func(client uint64) netip.AddrPort { return rendezvous(backends, client) }
		}},
	}
}

// slotsFor is the least number of slots that natspread takes for so many backends.
func slotsFor(backends int) int {
	count := slots.Default
	for count < 4*backends && count < slots.Max {
		count *= 2
	}
	return count
}

// bySlots is natspread's way.
func bySlots(backends []netip.AddrPort) func(uint64) netip.AddrPort {
	count := slotsFor(len(backends))
	var pool []slots.Backend
	for _, backend := range backends {
		pool = append(pool, slots.Backend{Address: backend, Weight: 1})
	}
	owners := slots.Owners(pool, count)
	return func(client uint64) netip.AddrPort { return backends[owners[client%uint64(count)]] }
}

// moved is the share of the clients of other backends that a change moves: of those that stay,
// nobody had to.
func moved(m method, before, after []netip.AddrPort) float64 {
	old, now := m.pick(before), m.pick(after)
	there := map[netip.AddrPort]bool{}
	for _, backend := range after {
		there[backend] = true
	}
	had := map[netip.AddrPort]bool{}
	for _, backend := range before {
		had[backend] = true
	}
	random, n := rand.New(rand.NewPCG(1, 2)), 0
	draws := clients
	if m.name == "rendezvous" {
		draws /= max(1, len(before)/20) // each asks all backends
	}
	for range draws {
		client := random.Uint64()
		was, is := old(client), now(client)
		if was != is && there[was] && had[is] { // neither to the new one nor from the one that is gone
			n++
		}
	}
	return float64(n) / float64(draws)
}

// reassigned is the share of all connections that get another balancer when one of so many
// dies, at the average of all: in the kernel's plain group of next hops each has an interval of
// the hashes, and all intervals are drawn anew; a resilient one gives away the dead one's alone.
func reassigned(balancers int) (plain, resilient float64) {
	const hashes = 1 << 16
	n := 0
	for dead := range balancers {
		for h := range hashes {
			was, is := h*balancers/hashes, h*(balancers-1)/hashes
			if is >= dead {
				is++
			}
			if was != is {
				n++
			}
		}
	}
	return float64(n) / float64(hashes*balancers), 1 / float64(balancers)
}

// percent is a share in words of a table.
func percent(share float64) string {
	if share == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3g %%", 100*share)
}

// main prints the two tables.
func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write prints how many connections to backends that stay change their backend, and how many
// of those of before the change a death then costs.
func write(out io.Writer) error {
	sizes := []int{3, 10, 30, 100, 300, 1000}
	lines := "| M backends | slots | one goes: natspread | Maglev | rendezvous | one comes: natspread | Maglev | rendezvous |\n|---|---|---|---|---|---|---|---|\n"
	gone := map[int][]float64{} // by each method in turn
	for _, size := range sizes {
		lines += fmt.Sprintf("| %d | %d", size, slotsFor(size))
		for _, m := range methods() {
			share := moved(m, pool(size), pool(size-1))
			gone[size] = append(gone[size], share)
			lines += " | " + percent(share)
		}
		for _, m := range methods() {
			lines += " | " + percent(moved(m, pool(size), pool(size+1)))
		}
		lines += " |\n"
	}
	lines += "\n| N balancers | plain group: moved | M = 3 | M = 100 | M = 1,000 | M = 100 by Maglev | resilient group: moved | M = 100 |\n|---|---|---|---|---|---|---|---|\n"
	for balancers := 2; balancers <= 64; balancers *= 2 {
		plain, resilient := reassigned(balancers)
		lines += fmt.Sprintf("| %d | %s", balancers, percent(plain))
		for _, lost := range []float64{plain * gone[3][0], plain * gone[100][0], plain * gone[1000][0], plain * gone[100][1], resilient, resilient * gone[100][0]} {
			lines += " | " + percent(lost)
		}
		lines += " |\n"
	}
	_, err := io.WriteString(out, lines)
	return err
}
