package restore_test

import (
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// TestAppliesUnderLoad applies two configs in turn, over and over, under streams
// that stay open, streams that are made all the time, and datagram flows. No backend
// of the two that both have is taken out, so nothing of all this may fail.
func TestAppliesUnderLoad(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		host := newHost(t, variant)
		n.Serve(t, "tcp", 4, 80)
		n.Serve(t, "udp", 4, 80)
		configs := [2]string{
			service("web", 4, 80, 0, weighted(4, 80, 1, 1), `on_remove = "reset"`) + service("dns", 4, 53, 2),
			service("dns", 4, 53, 3) + service("web", 4, 80, 0, weighted(4, 80, 3, 1, 0), `on_remove = "reset"`, `algorithm = "round-robin"`),
		}
		vip := at(netnstest.VIP(4), 80)
		apply(t, host, configs[0])
		load := netnstest.NewLoad(t)
		for i := range 10 {
			open := netnstest.Converse(t, n.Client, transports[i%2], vip)
			backend, err := open.Ask(hurry)
			hosttest.Must(t, err)
			load.Keep(open, backend)
		}
		load.Connect(n.Client, vip)
		for i := range testsize.Of(25, 100) {
			wantDeleted(t, apply(t, host, configs[(i+1)%2]), 0)
		}
		load.WantGood(t, 100)
	})
}
