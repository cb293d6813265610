package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// tracked keeps connection tracking on, whatever becomes of the nat table, as the
// filter rules of most hosts do.
func tracked(t testing.TB, variant rules.Variant) {
	t.Helper()
	for _, family := range []int{4, 6} {
		netnstest.Self().Command(t, "", netnstest.Programs(string(variant), family).Iptables, "-w", "5",
			"-A", "FORWARD", "-m", "conntrack", "--ctstate", "NEW")
	}
}

// only returns the backends key with one backend, by its place from 0.
func only(family, i, port int) string {
	return fmt.Sprintf("backends = [%q]", at(backend(family, i), port))
}

// wantMore asks once more in a conversation, and says who has to answer.
func wantMore(t *testing.T, c *netnstest.Conversation, want string) {
	t.Helper()
	if got, err := c.Ask(2 * time.Second); err != nil || got != want {
		t.Errorf("a further question was answered by %q, %v; want %s", got, err, want)
	}
}

// wantReset asks once more, and wants the connection to have ended.
func wantReset(t *testing.T, c *netnstest.Conversation) {
	t.Helper()
	start := time.Now()
	got, err := c.Ask(hurry)
	if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, io.EOF) {
		t.Errorf("a further question was answered by %q after %v, %v; want a reset", got, time.Since(start), err)
	}
}

// wantDeleted holds a result to a number of deleted entries.
func wantDeleted(t *testing.T, result restore.Result, want int) {
	t.Helper()
	if result.DeletedEntries != want || len(result.Notes) != len(result.Opened) {
		t.Errorf("%d entries were deleted, want %d; notes %q", result.DeletedEntries, want, result.Notes)
	}
}

// TestBackendIsTakenOut has a datagram flow and a stream at a backend that is first
// drained and then taken out, with each kind of on_remove.
func TestBackendIsTakenOut(t *testing.T) {
	for _, onRemove := range []string{"drain", "reset"} {
		t.Run(onRemove, func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
				n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
				host := newHost(t, variant)
				key := fmt.Sprintf("on_remove = %q", onRemove)
				for _, family := range []int{4, 6} {
					n.Serve(t, "tcp", family, 80)
					servers := n.Serve(t, "udp", family, 80)
					vip := at(netnstest.VIP(family), 80)
					apply(t, host, service("web", family, 80, 1, key)+service("dns", family, 53, 2))
					stream := netnstest.Converse(t, n.Client, "tcp", vip)
					flow := netnstest.Converse(t, n.Client, "udp", vip)
					own := netnstest.Converse(t, n.Balancer, "udp", vip)
					wantMore(t, flow, servers[0])
					wantMore(t, own, servers[0])

					wantDeleted(t, apply(t, host, service("web", family, 80, 2, weighted(family, 80, 0, 1), key)+service("dns", family, 53, 2)), 0)
					wantMore(t, stream, servers[0])
					wantMore(t, flow, servers[0])
					wantMore(t, own, servers[0])

					deleted := map[string]int{"drain": 2, "reset": 3}[onRemove]
					wantDeleted(t, apply(t, host, service("web", family, 80, 0, only(family, 1, 80), key)+service("dns", family, 53, 2)), deleted)
					wantMore(t, flow, servers[1])
					wantMore(t, own, servers[1])
					if onRemove == "drain" {
						wantMore(t, stream, servers[0])
					} else {
						wantReset(t, stream)
					}
				}
			})
		})
	}
}

// TestServiceIsTakenOut has what is in the service that goes end as its own last
// config says, and what stands beside it at the same backend go on.
func TestServiceIsTakenOut(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host := newHost(t, variant)
		stays := service("stays", 4, 80, 1)
		drained := service("drained", 4, 81, 1, only(4, 0, 80))
		cut := service("cut", 4, 82, 1, only(4, 0, 80), `on_remove = "reset"`)
		apply(t, host, stays+drained+cut)
		server := n.Serve(t, "tcp", 4, 80)[0]
		n.Serve(t, "udp", 4, 80)
		streams, flows := map[int]*netnstest.Conversation{}, map[int]*netnstest.Conversation{}
		for port := 80; port <= 82; port++ {
			streams[port] = netnstest.Converse(t, n.Client, "tcp", at(netnstest.VIP(4), port))
			flows[port] = netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(4), port))
			wantMore(t, flows[port], server)
		}
		wantDeleted(t, apply(t, host, stays), 3)
		for port := 80; port <= 82; port++ {
			if port == 82 {
				wantReset(t, streams[port])
			} else {
				wantMore(t, streams[port], server)
			}
			if port == 80 {
				wantMore(t, flows[port], server)
			} else if got, err := flows[port].Ask(patience); err == nil {
				t.Errorf("the flow to port %d was answered by %s", port, got)
			}
		}
	})
}

// TestFlowsBeforeTheRules has datagram flows that began before the first apply, or
// while the rules were out, follow the rules from then on.
func TestFlowsBeforeTheRules(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		tracked(t, variant)
		host := newHost(t, variant)
		toml := ""
		for _, family := range []int{4, 6} {
			toml += service(fmt.Sprint("one", family), family, 80, 1) +
				service(fmt.Sprint("any", family), family, 81, 1, only(family, 0, 80), `listen = "*:81"`) +
				service(fmt.Sprint("far", family), family, 82, 1, only(family, 0, 80), "local = false")
		}
		type early struct {
			flow   *netnstest.Conversation
			before string // who answers without rules; "" for nobody
			after  string
		}
		var flows []early
		for _, family := range []int{4, 6} {
			vip := netnstest.VIP(family)
			backend := n.Serve(t, "udp", family, 80)[0]
			beyond := netnstest.Serve(t, n.Client, "udp", at(netnstest.ClientAddr(family, 0), 81)) // only passes through
			own := netnstest.Serve(t, n.Balancer, "udp", at(vip, 82))
			flows = append(flows,
				early{netnstest.Converse(t, n.Client, "udp", at(vip, 80)), "", backend},
				early{netnstest.Converse(t, n.Client, "udp", at(vip, 81)), "", backend},
				early{netnstest.Converse(t, n.Client, "udp", at(vip, 82)), own, backend},
				early{netnstest.Converse(t, n.Balancer, "udp", at(vip, 80)), "", backend},
				early{netnstest.Converse(t, n.Balancer, "udp", at(vip, 82)), own, own},
				early{netnstest.Converse(t, n.Balancer, "udp", beyond), beyond, beyond})
		}
		missed := 2 * 4
		each := func(when string, want func(early) string) {
			t.Helper()
			for i, f := range flows {
				want, ask := want(f), f.flow.Answered
				if want == "" {
					ask = func() (string, error) { return f.flow.Ask(patience) }
				}
				if got, err := ask(); got != want || (err == nil) != (want != "") {
					t.Errorf("%s: flow %d was answered by %q, %v; want %q", when, i, got, err, want)
				}
			}
		}
		before := func(f early) string { return f.before }
		after := func(f early) string { return f.after }
		each("at first", before)
		wantDeleted(t, apply(t, host, toml), missed)
		each("after apply", after)
		if _, err := host.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		flows = flows[:0]
		for _, family := range []int{4, 6} { // others, since those above are at their backends
			flows = append(flows, early{netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(family), 80)), "", n.Backends[0].Addr(family).String()})
			flows[len(flows)-1].after = at(n.Backends[0].Addr(family), 80)
		}
		each("after stop", before)
		result, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		wantDeleted(t, result, len(flows))
		each("after restore", after)
	})
}

// TestFlowsRefused has a flow that met a service with every backend drained reach
// one again when there is one.
func TestFlowsRefused(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host := newHost(t, variant)
		for _, family := range []int{4, 6} {
			server := n.Serve(t, "udp", family, 80)[0]
			apply(t, host, service("web", family, 80, 1, weighted(family, 80, 0)))
			flow := netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(family), 80))
			if got, err := flow.Ask(patience); !errors.Is(err, unix.ECONNREFUSED) {
				t.Fatalf("answered by %q, %v; want to be refused", got, err)
			}
			wantDeleted(t, apply(t, host, service("web", family, 80, 1, weighted(family, 80, 1))), 1)
			wantMore(t, flow, server)
		}
	})
}

// TestTrialCutsNothing has the datagrams follow a trial both ways, and streams cut
// only by its confirmation.
func TestTrialCutsNothing(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		host := newHost(t, variant)
		n.Serve(t, "tcp", 4, 80)
		servers := n.Serve(t, "udp", 4, 80)
		trial := restore.Trial{For: time.Hour, Schedule: func(context.Context, time.Duration) (func(context.Context), error) {
			return func(context.Context) {}, nil
		}}
		try := func() {
			t.Helper()
			result, err := host.Try(t.Context(), request(t, service("web", 4, 80, 0, only(4, 1, 80), `on_remove = "reset"`)), trial)
			hosttest.Must(t, err)
			wantDeleted(t, result, 1)
		}
		apply(t, host, service("web", 4, 80, 0, only(4, 0, 80), `on_remove = "reset"`))
		stream := netnstest.Converse(t, n.Client, "tcp", at(netnstest.VIP(4), 80))
		flow := netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(4), 80))
		wantMore(t, flow, servers[0])
		try()
		wantMore(t, flow, servers[1])
		wantMore(t, stream, servers[0])

		result, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		wantDeleted(t, result, 1)
		wantMore(t, flow, servers[0])
		wantMore(t, stream, servers[0])

		try()
		wantMore(t, flow, servers[1])
		result, err = host.Confirm(t.Context())
		hosttest.Must(t, err)
		wantDeleted(t, result, 1)
		wantMore(t, flow, servers[1])
		wantReset(t, stream)
	})
}

// TestResetReachesBothEnds has each end of a connection that is cut speak first: its
// reset comes from whoever its packet meets. With snat = "none" that is the client
// for a backend's packet, if a route leads from it to the backend.
func TestResetReachesBothEnds(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Gateway: true})
		routeBack(t, n)
		host := newHost(t, variant)
		for i, snat := range []string{"masquerade", "none"} {
			for _, family := range []int{4, 6} {
				keys := []string{`on_remove = "reset"`, fmt.Sprintf("snat = %q", snat)}
				port := 80 + 2*i + family/6
				addr := at(backend(family, 0), port)
				var listener net.Listener
				var err error
				n.Backends[0].Host.Do(t, func() { listener, err = net.Listen("tcp", addr) })
				hosttest.Must(t, err)
				defer listener.Close()
				var accepted [2]net.Conn
				var dialled [2]net.Conn
				apply(t, host, service("web", family, port, 0, only(family, 0, port), keys[0], keys[1]))
				for end := range dialled {
					n.Client.Do(t, func() { dialled[end], err = net.Dial("tcp", at(netnstest.VIP(family), port)) })
					hosttest.Must(t, err)
					accepted[end], err = listener.Accept()
					hosttest.Must(t, err)
					defer dialled[end].Close()
					defer accepted[end].Close()
				}
				wantDeleted(t, apply(t, host, service("web", family, port, 0, only(family, 1, port), keys[0], keys[1])), 2)
				wantBroken(t, "the client", dialled[0])
				wantBroken(t, "the backend", accepted[1])
			}
		}
	})
}

// wantBroken writes until a reset comes back.
func wantBroken(t *testing.T, whose string, conn net.Conn) {
	t.Helper()
	hosttest.Must(t, conn.SetDeadline(time.Now().Add(hurry)))
	var err error
	await.Within(hurry, func() bool {
		_, err = conn.Write([]byte("?"))
		return err != nil
	})
	if !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("%s: %v, want a reset", whose, err)
	}
}

// TestServicesUnread has services, before or after a change, that nobody can read, or knows:
// the change stands, the flows of all services that were loaded go to where the rules lead
// now, no stream is cut, and the note says so.
func TestServicesUnread(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		n.Serve(t, "tcp", 4, 80)
		servers := n.Serve(t, "udp", 4, 80)
		garbage := []byte("# natspread services sha256 0\n")
		for i, c := range []struct {
			name     string
			spoils   bool   // what was before, not what comes
			services []byte // there
			says     string
		}{
			{"garbage before", true, garbage, "cannot read which backends generation 1 has: it was cut: its last line is missing"},
			{"garbage after", false, garbage, "cannot read which backends the new generation has: it was cut: its last line is missing"},
			{"none before", true, nil, "generation 1 does not say which backends it has"},
			{"none after", false, nil, "the new generation does not say which backends it has"},
		} {
			t.Run(c.name, func(t *testing.T) {
				host := newHost(t, variant)
				hosttest.Boot(t, variant)
				port := 81 + i // so that no entry of another case is there
				config := func(backend int) string {
					return service("web", 4, port, 0, only(4, backend, 80), `on_remove = "reset"`)
				}
				before, after := request(t, config(0)), request(t, config(1))
				if c.spoils {
					before.Services = c.services
				} else {
					after.Services = c.services
				}
				_, err := host.Apply(t.Context(), before)
				hosttest.Must(t, err)
				stream := netnstest.Converse(t, n.Client, "tcp", at(netnstest.VIP(4), port))
				flow := netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(4), port))
				wantMore(t, flow, servers[0])
				result, err := host.Apply(t.Context(), after)
				hosttest.Must(t, err)
				hosttest.WantLoaded(t, variant, config(1))
				want := c.says + ": every UDP connection of its services was deleted, and no TCP connection"
				if len(result.Notes) != 1 || result.Notes[0] != want || result.DeletedEntries != 1 {
					t.Errorf("notes %q, want %q; %d deleted", result.Notes, want, result.DeletedEntries)
				}
				wantMore(t, flow, servers[1])
				wantMore(t, stream, servers[0])
			})
		}
	})
}

// TestStopDeletesStale has a datagram flow and a stream at a backend when the rules are taken
// out, on a host that forwarded before and lets through what is established: the flow goes
// to the balancer from then on, the stream goes on, whatever on_remove says. Once more
// nothing is stale.
func TestStopDeletesStale(t *testing.T) {
	for _, onRemove := range []string{"drain", "reset"} {
		t.Run(onRemove, func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
				n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
				tracked(t, variant)
				hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
				host := newHost(t, variant)
				server := n.Serve(t, "udp", 4, 80)[0]
				n.Serve(t, "tcp", 4, 80)
				vip := at(netnstest.VIP(4), 80)
				web := service("web", 4, 80, 1, fmt.Sprintf("on_remove = %q", onRemove))
				for _, load := range []func(){
					func() { apply(t, host, web) },
					func() { apply(t, host, hosttest.Alone); try(t, host, web) }, // which knows nothing of it
				} {
					load()
					stream := netnstest.Converse(t, n.Client, "tcp", vip)
					flow := netnstest.Converse(t, n.Client, "udp", vip)
					wantMore(t, flow, server)
					wantMore(t, stream, server)
					result, err := host.Stop(t.Context())
					hosttest.Must(t, err)
					if result.DeletedEntries != 1 {
						t.Errorf("%d entries were deleted, want 1; notes %q", result.DeletedEntries, result.Notes)
					}
					if got, err := flow.Ask(patience); err == nil {
						t.Errorf("the flow was answered by %s", got)
					}
					wantMore(t, stream, server)
					result, err = host.Stop(t.Context())
					if err != nil || result.DeletedEntries != 0 {
						t.Errorf("once more: %+v, %v", result, err)
					}
				}
			})
		})
	}
}
