package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"natspread/internal/config"
	"natspread/internal/doctor/inconfig"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// Watcher is what is known of natspread health on a host that has checked services, and where
// it does not check them.
type Watcher struct {
	Hangs  bool      // it runs, and writes nothing
	Holder int       // the process that holds its lock then; 0 where none can be seen from here
	Beat   time.Time // when it last wrote its state; zero where it wrote none
	Now    time.Time
	Out    []string // the backends that it took out
	ByHand bool     // no unit can start it here
	Starts bool     // systemd is to start it when others are up, as the network
}

// Unwatched says that nobody checks the backends, and which of them stay out for that: Broken,
// as one that dies keeps its share, and one that is back gets nothing.
func (h Host) Unwatched(w Watcher) Finding {
	if w.Starts && !w.Hangs { // most units wait for the network at boot, for a minute or two
		return Finding{Severity: Risk, What: "health checks do not run yet: systemd starts natspread health when what it waits for is up, as the network"}
	}
	since := w.Beat.Format("15:04")
	if w.Now.Sub(w.Beat) > 12*time.Hour {
		since = w.Beat.Format("2006-01-02 15:04")
	}
	what := "health checks do not run since " + since
	switch {
	case w.Hangs:
		what = "natspread health runs, but has not written its state since " + since
	case w.Beat.IsZero():
		what = "health checks are configured, but natspread health does not run"
	}
	if len(w.Out) == 1 {
		what += fmt.Sprintf(": %s stays out, unless natspread restore lets it in", w.Out[0])
	} else if len(w.Out) > 1 {
		what += fmt.Sprintf(": %s stay out, unless natspread restore lets them in", text.Few(w.Out))
	}
	return Finding{Broken, what, h.watch(w)}
}

// watch is the line after which backends are checked. What hangs holds a lock, by which it is
// found and ended where no systemd does that.
func (h Host) watch(w Watcher) string {
	name := strings.TrimSuffix(paths.HealthUnit, ".service")
	loader, _ := h.Loader()
	files := h.files()
	file, present := files.First("system/" + paths.HealthUnit)
	const foreground = "natspread health # runs in the foreground"
	switch byHand := w.ByHand || loader == NoSystemd; {
	case byHand && w.Hangs:
		if w.Holder != 0 {
			return fmt.Sprintf("kill -KILL %d; %s", w.Holder, foreground)
		}
		return fmt.Sprintf("%s, when what holds /%s is gone", foreground, paths.HealthLock)
	case byHand:
		return foreground
	case w.Hangs:
		return "systemctl restart " + name
	case !present:
		return "natspread install"
	case files.Masked(file):
		return fmt.Sprintf("systemctl unmask %s && systemctl enable --now %[1]s", name)
	}
	return "systemctl enable --now " + name
}

// ownChecks looks for checks that cannot be made. One kind has a source that the host does not have.
// The other asks a backend on the host itself, at a port that a service takes on every address: that
// service would balance the check, and another backend could answer it. Both depend on the addresses
// of the host, which the config does not know.
func (e examination) ownChecks() []Finding {
	var found []Finding
	for _, service := range e.Services {
		if !service.Checked() {
			continue
		}
		if source := service.Check.Source; source.IsValid() && !e.isOwn(source) {
			found = append(found, Finding{
				Risk, fmt.Sprintf("service %s: this host does not have %v, the source of its checks, so nobody is checked", service.Name, source),
				inconfig.Line(service.Name, "take source out of the check"),
			})
		}
		for _, backend := range service.Backends {
			taker, taken := e.takerOf(service, backend)
			if !taken {
				continue
			}
			found = append(found, Finding{
				Risk, fmt.Sprintf("service %s: backend %v is this host, and its check would be balanced by service %s, so it is not checked", service.Name, backend, taker),
				inconfig.Line(taker, "local = false"),
			})
		}
	}
	return found
}

// isOwn tells whether connections of the host can come from an address.
func (e examination) isOwn(address netip.Addr) bool {
	if _, held := e.network.Holder(address); held {
		return true
	}
	to, err := e.network.RouteTo(address)
	return err == nil && to.Local
}

// takerOf returns the service that takes the checks of a backend of this host.
func (e examination) takerOf(service config.Service, backend config.Backend) (name string, taken bool) {
	if _, held := e.network.Holder(backend.Addr); !held || backend.Addr.IsLoopback() {
		return "", false // so of thousands of backends hardly one is compared with every service
	}
	protocol, port := service.Check.Type.Protocol(), cmp.Or(service.Check.Port, backend.Port)
	for _, taker := range e.Services {
		if taker.Local && familyOf(taker) == rules.FamilyOf(backend.Addr) && takesLocal(taker, protocol, port) {
			return taker.Name, true
		}
	}
	return "", false
}

// takesLocal tells whether a service takes a port of every address of the host.
func takesLocal(service config.Service, protocol config.Protocol, port uint16) bool {
	return slices.Contains(service.Protocols, protocol) && slices.ContainsFunc(service.Listen, func(listen config.Listen) bool {
		return listen.Any() && listen.Ports.Contains(port)
	})
}

// NoneAnswered is the finding of a backend that passes its check while none of some connections
// to it is answered. Where it sees the clients' own addresses, its answers most likely leave by
// another router. It is a Risk: forged packets look like that, too.
func (h Host) NoneAnswered(service config.Service, backend config.Backend, asked int) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf("backend %v of service %s passes its check, but none of %d connections to it was answered", backend, service.Name, asked)}
	if !keepsClient(service) {
		return found
	}
	found.What += ": does its route back lead through this host?"
	network, err := h.readNetwork()
	if err != nil {
		return found
	}
	found.Fix = inconfig.Line(service.Name, fmt.Sprintf("snat = %q", config.SNAT{}))
	if near := network.Beside(backend.Addr); len(near) > 0 {
		found.Fix = fmt.Sprintf("ip route replace default via %v # on %v", near[0].Addr, backend.Addr)
	}
	return found
}
