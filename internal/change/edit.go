package change

import (
	"bytes"
	"cmp"
	"context"
	"errors"
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
	"natspread/internal/configfiles"
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
	edited  []fileEdit
	overlay *restore.Overlay // of PlanRuntime, which edits no file
}

// fileEdit is another text for a file.
type fileEdit struct {
	path          string // behind links
	before, after []byte
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
	rewrite := func(files configfiles.Set) (configfiles.Set, []edit.Edited, error) {
		return edit.SetDrain(files, target.Service, target.Backend, drain, func(service string, b config.Backend) int {
			return cmp.Or(weights()[member{service, b.AddrPort()}], 1)
		})
	}
	planned := Edit{command: "undrain " + target.String()}
	if drain {
		planned.command = "drain " + target.String()
	}
	files, edited, err := rewrite(plan.Files)
	if err != nil {
		return Edit{}, err
	}
	if planned.Plan, err = Parse(plan.Name, files); err != nil {
		return Edit{}, err
	}
	if planned.edited, err = fileEdits(plan.Files, files); err != nil {
		return Edit{}, err
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

// fileEdits returns the files of a config that have another text than before. It first removes what
// killed writers of any of the files left.
func fileEdits(before, after configfiles.Set) ([]fileEdit, error) {
	var edited []fileEdit
	sweep(before, func(path string) []string { return []string{path} })
	for i, file := range before {
		path, err := filepath.EvalSymlinks(file.Path)
		if err != nil {
			return nil, fmt.Errorf("cannot find %s: %w", file.Path, atomicfile.Cause(err))
		}
		if !bytes.Equal(file.Text, after[i].Text) {
			edited = append(edited, fileEdit{path, file.Text, after[i].Text})
		}
	}
	return edited, nil
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
func (e Edit) changesNothingElse(store generation.Store, rewrite func(configfiles.Set) (configfiles.Set, []edit.Edited, error)) error {
	current, err := store.Current()
	if err != nil {
		return err
	}
	files, _, err := rewrite(current.Config)
	if err == nil {
		var then config.Config
		if then, err = config.ParseSet(files); err == nil && then.Equivalent(e.Config) {
			return nil
		}
	}
	return errors.New("the config has other changes that are not applied yet: see natspread diff, and apply them or take them out first")
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

// Apply edits the files and applies them; when that fails they are what they were. The files
// come first: were the program killed in between, the next apply would drain the backend,
// and not fill it again.
func (e Edit) Apply(ctx context.Context, host restore.Host) (restore.Result, error) {
	for i, file := range e.edited {
		err := atomicfile.ReplaceFile(file.path, file.after)
		if err == nil {
			continue
		}
		back := ""
		if errors.Is(err, atomicfile.ErrUnsynced) { // this one has the new text, too
			i, back = i+1, "; it is put back"
		}
		if failed := e.revert(e.edited[:i]); failed != nil {
			return restore.Result{Changed: true}, fmt.Errorf("%w, but %w", err, failed)
		}
		return restore.Result{}, fmt.Errorf("%w%s; nothing was changed", err, back)
	}
	result, err := Apply(ctx, host, e.Request(e.command))
	if err == nil {
		return result, nil
	}
	if failed := e.revert(e.edited); failed != nil {
		return result, fmt.Errorf("%w, but %w", err, failed)
	}
	return result, err
}

// revert puts back what was in files before the edit, if nobody wrote to them since: what
// somebody else saved meanwhile stays, with our edit or without it.
func (e Edit) revert(files []fileEdit) error {
	var failed error
	for _, file := range files {
		now, err := os.ReadFile(file.path)
		if err == nil && !bytes.Equal(now, file.after) {
			failed = errors.Join(failed, fmt.Errorf("%s was edited meanwhile and stays as it is: look whether %s is still in it", file.path, e.command))
			continue
		}
		if err == nil {
			err = atomicfile.ReplaceFile(file.path, file.before)
		}
		if err != nil && !errors.Is(err, atomicfile.ErrUnsynced) {
			failed = errors.Join(failed, fmt.Errorf("the config is still edited: cannot put it back: %w", atomicfile.Cause(err)))
		}
	}
	return failed
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
