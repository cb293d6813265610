package change

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/internal/config/edit"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/flows"
	"natspread/restore/generation"
)

// Edit is an edit of the config after which backends get no new connections, or get them
// again.
type Edit struct {
	Plan     // the config as it is to be
	Backends []Backend

	command string
	path    string           // of the file, behind links
	before  []byte           // what is in the file
	overlay *restore.Overlay // of PlanRuntime, which edits no file
}

// Backend is a backend that is drained, or no longer.
type Backend struct {
	Service config.Service // as it is to be
	Backend config.Backend // as it was
}

// Target names backends: of one service, or without its name of all.
type Target struct {
	Service string // "" is every service
	Backend string // as the config writes it, or its address alone
}

// String writes the target as it is typed.
func (t Target) String() string { return strings.TrimSpace(t.Service + " " + t.Backend) }

// PlanDrain plans to drain a backend in a config that was read from a file, or to give it new
// connections again. A config that has other changes which are not applied yet is refused:
// whoever drains in a hurry must not apply what somebody was in the middle of writing. So it
// is while a generation waits to be confirmed. A backend that natspread 0.1 drained, by
// weight = 0, gets the weight of the newest generation in which it had one, else 1.
func PlanDrain(store generation.Store, plan Plan, target Target, drain bool) (Edit, error) {
	if err := store.RefusePending(); err != nil { // as the apply would, but before the file is edited
		return Edit{}, err
	}
	weights := sync.OnceValue(func() map[member]int { return lastWeights(store) })
	rewrite := func(name string, text []byte) ([]byte, []edit.Edited, error) {
		return edit.SetDrain(name, text, target.Service, target.Backend, drain, func(service string, b config.Backend) int {
			return cmp.Or(weights()[member{service, b.AddrPort()}], 1)
		})
	}
	planned := Edit{command: "undrain " + target.String(), before: plan.Text}
	if drain {
		planned.command = "drain " + target.String()
	}
	text, edited, err := rewrite(plan.Name, plan.Text)
	if err != nil {
		return Edit{}, err
	}
	if planned.Plan, err = Parse(plan.Name, text); err != nil {
		return Edit{}, err
	}
	if planned.path, err = filepath.EvalSymlinks(plan.Name); err != nil {
		return Edit{}, fmt.Errorf("cannot find %s: %w", plan.Name, atomicfile.Cause(err))
	}
	services := make(map[string]config.Service, len(planned.Config.Services))
	for _, s := range planned.Config.Services {
		services[s.Name] = s
	}
	for _, e := range edited {
		planned.Backends = append(planned.Backends, Backend{Service: services[e.Service], Backend: e.Backend})
	}
	return planned, planned.changesNothingElse(store, rewrite)
}

// member is a backend of a service.
type member struct {
	service string
	backend netip.AddrPort
}

// lastWeights returns the weight that each backend had in the newest generation that gave it one.
func lastWeights(store generation.Store) map[member]int {
	weights := map[member]int{}
	entries, _ := store.History() // without one nothing is known
	for _, entry := range slices.Backward(entries) {
		cfg, err := config.ParseGeneration(entry.Number, entry.Config)
		if err != nil {
			continue
		}
		for _, s := range cfg.Services {
			for _, b := range s.Backends {
				if b.Weight > 0 {
					weights[member{s.Name, b.AddrPort()}] = b.Weight
				}
			}
		}
	}
	return weights
}

// changesNothingElse is an error when to apply the config would change more than the
// backends.
func (e Edit) changesNothingElse(store generation.Store, rewrite func(name string, text []byte) ([]byte, []edit.Edited, error)) error {
	current, err := store.Current()
	if err != nil {
		return err
	}
	text, _, err := rewrite("current", current.Config)
	if err == nil {
		var then config.Config
		if then, err = config.Parse("current", text); err == nil && then.Equivalent(e.Config) {
			return nil
		}
	}
	return fmt.Errorf("%s has other changes that are not applied yet: see natspread diff, and apply them or take them out first", e.Name)
}

// Empty returns the names of the services of which every backend is drained then, so that
// clients are refused.
func (e Edit) Empty() []string {
	var names []string
	for _, service := range e.services() {
		if len(service.Active()) == 0 {
			names = append(names, service.Name)
		}
	}
	return names
}

// Apply edits the file and applies it; when that fails the file is what it was. The file
// comes first: were the program killed in between, the next apply would drain the backend,
// and not fill it again.
func (e Edit) Apply(ctx context.Context, host restore.Host) (restore.Result, error) {
	edited := !bytes.Equal(e.before, e.Text)
	_ = atomicfile.Sweep(filepath.Dir(e.path), filepath.Base(e.path)) // also where nothing is written
	if edited {
		if err := atomicfile.ReplaceFile(e.path, e.Text); err != nil {
			return restore.Result{}, fmt.Errorf("%w; nothing was changed", err)
		}
	}
	result, err := Apply(ctx, host, e.Request(e.command))
	if err == nil || !edited {
		return result, err
	}
	if failed := e.revert(); failed != nil {
		return result, fmt.Errorf("%w, but %w", err, failed)
	}
	return result, err
}

// revert puts back what was in the file before the edit, if nobody wrote to it since: what
// somebody else saved meanwhile stays, with our edit or without it.
func (e Edit) revert() error {
	now, err := os.ReadFile(e.path)
	if err == nil && !bytes.Equal(now, e.Text) {
		return fmt.Errorf("%s was edited meanwhile and stays as it is: look whether %s is still in it", e.path, e.command)
	}
	if err == nil {
		err = atomicfile.ReplaceFile(e.path, e.before)
	}
	if err != nil {
		return fmt.Errorf("the config is still edited: cannot put it back: %w", atomicfile.Cause(err))
	}
	return nil
}

// Live counts the connections that are open at each of the backends, for its service.
func (e Edit) Live(ctx context.Context) ([]int, error) {
	virtual := render.VirtualServices(e.services()...)
	counts, err := flows.CountConnections(ctx, virtual)
	if err != nil {
		return nil, err
	}
	of := map[string][]int{}
	for v, service := range virtual {
		of[service.Service] = append(of[service.Service], v)
	}
	live := make([]int, len(e.Backends))
	for i, b := range e.Backends {
		for _, v := range of[b.Service.Name] {
			live[i] += counts[v][b.place()]
		}
	}
	return live, nil
}

// End deletes the connection tracking entries of the backends, for their services.
func (e Edit) End(ctx context.Context) (deleted int, err error) {
	seen := map[netip.AddrPort]bool{}
	for _, b := range e.Backends {
		for _, virtual := range render.VirtualServices(b.Service) { // they have the ports where it answers
			seen[virtual.Backends[b.place()]] = true
		}
	}
	backends := slices.Collect(maps.Keys(seen))
	return flows.DeleteBackends(ctx, render.VirtualServices(e.services()...), backends)
}

// place returns where the backend stands in its service.
func (b Backend) place() int {
	return slices.IndexFunc(b.Service.Backends, func(other config.Backend) bool { return other.AddrPort() == b.Backend.AddrPort() })
}

// services returns the services of the backends, each once.
func (e Edit) services() []config.Service {
	var services []config.Service
	seen := map[string]bool{}
	for _, b := range e.Backends {
		if !seen[b.Service.Name] {
			seen[b.Service.Name] = true
			services = append(services, b.Service)
		}
	}
	return services
}
