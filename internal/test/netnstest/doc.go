// Package netnstest exists so that tests can change a real kernel's network
// without touching the machine's own; it must not know what a service, a
// backend's weight or a rule is.
//
// A test asks for its own namespaces first, then builds hosts and servers:
//
//	func TestBalance(t *testing.T) {
//		if !netnstest.Isolate(t) {
//			return
//		}
//		n := netnstest.NewNetwork(t, netnstest.Layout{Forward: true})
//		backends := n.Serve(t, "tcp", 4, 80)
//		...load rules with plain os/exec, as root of the namespaces...
//		tally := netnstest.AskMany(t, n.Client, "tcp", "192.0.2.10:80", 3000, 8)
//		x2, ok := netnstest.ChiSquare(tally.Of(backends), []float64{1, 1, 1})
//	}
//
// The go command caches a result by the files the parent read, which are not
// those of the child, nor the kernel's: run such tests with -count=1.
package netnstest
