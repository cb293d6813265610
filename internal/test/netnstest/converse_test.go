package netnstest_test

import (
	"testing"
	"time"

	"natspread/internal/test/netnstest"
)

// TestConverse asks twice over one connection, and once more when the other side
// has gone.
func TestConverse(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	self := netnstest.Self()
	for _, network := range []string{"tcp", "udp"} {
		var c *netnstest.Conversation
		t.Run(network, func(t *testing.T) {
			addr := netnstest.Serve(t, self, network, "127.0.0.1:0")
			c = netnstest.Converse(t, self, network, addr)
			for range 2 {
				if got, err := c.Ask(time.Second); err != nil || got != addr {
					t.Errorf("answered by %q, %v; want %s", got, err, addr)
				}
			}
			if err := c.End(); err != nil {
				t.Error(err)
			}
			if got, err := c.Ask(time.Second); err == nil {
				t.Errorf("answered by %q after the end", got)
			}
		})
	}
}
