package restore_test

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// manyServices is a config of so many services on an address each, with the same three
// backends; the weight of their first one is 1, or what heavier says.
func manyServices(services int, heavier map[int]int) string {
	var text strings.Builder
	for i := range services {
		weight := 1
		if heavier[i] != 0 {
			weight = heavier[i]
		}
		fmt.Fprintf(&text, "[[service]]\nname = \"s%d\"\nlisten = %q\n", i, numberedVIP(i))
		fmt.Fprintf(&text, "backends = [{ address = \"10.0.0.1:80\", weight = %d }, \"10.0.0.2:80\", \"10.0.0.3:80\"]\n", weight)
	}
	return text.String()
}

// numberedVIP is what a service of manyServices listens on.
func numberedVIP(i int) string { return fmt.Sprintf("198.18.%d.%d:80", i/250, 1+i%250) }

// TestThousandsUnderLoad applies thousands of services anew while connections are made
// to the first, the last and some between: all of them changed, and one at a time. None
// may fail.
func TestThousandsUnderLoad(t *testing.T) {
	thousands := testsize.Of(1000, 5000)
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		n.Client.Command(t, "route add 198.18.0.0/15 via 192.0.2.10\n", "ip", "-batch", "-")
		n.Serve(t, "tcp", 4, 80)
		host := newHost(t, variant)
		every := map[int]int{}
		for i := range thousands {
			every[i] = 2
		}
		apply(t, host, manyServices(thousands, nil))
		load := netnstest.NewLoad(t)
		for _, i := range []int{0, thousands / 3, thousands - 2, thousands - 1} {
			load.Connect(n.Client, numberedVIP(i))
		}
		for _, heavier := range []map[int]int{every, nil, {0: 3}, {thousands - 1: 3}, {thousands / 3: 3}, {thousands / 2: 3}, every} {
			if result := apply(t, host, manyServices(thousands, heavier)); !result.Loaded {
				t.Errorf("nothing was loaded: %+v", result)
			}
		}
		load.WantGood(t, 100)
	})
}
