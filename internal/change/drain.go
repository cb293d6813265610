package change

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/flows"
	"natspread/restore/generation"
)

// Drain is an edit of the config after which backends get no new connections, or get them
// again.
type Drain struct {
	Plan     // the config as it is to be
	Backends []Backend

	command string
	path    string // of the file, behind links
	before  []byte // what is in the file
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

// PlanDrain plans to drain a backend in a config that was read from a file. A config that
// has other changes which are not applied yet is refused: whoever drains in a hurry must
// not apply what somebody was in the middle of writing.
func PlanDrain(store generation.Store, plan Plan, file string, target Target) (Drain, error) {
	return planEdit(store, plan, file, "drain "+target.String(), func(name string, text []byte) ([]byte, []config.Edited, error) {
		return config.Drained(name, text, target.Service, target.Backend)
	})
}

// PlanUndrain plans the opposite of PlanDrain. A backend that natspread 0.1 drained, by weight = 0, gets
// the weight of the newest generation in which it had one, else 1.
func PlanUndrain(store generation.Store, plan Plan, file string, target Target) (Drain, error) {
	weightOf := func(service string, b config.Backend) int { return lastWeight(store, service, b) }
	return planEdit(store, plan, file, "undrain "+target.String(), func(name string, text []byte) ([]byte, []config.Edited, error) {
		return config.Undrained(name, text, target.Service, target.Backend, weightOf)
	})
}

// lastWeight returns the weight that a backend had in the newest generation that gave it
// one, 1 where none did.
func lastWeight(store generation.Store, service string, backend config.Backend) int {
	entries, err := store.History()
	if err != nil {
		return 1
	}
	for _, entry := range entries {
		cfg, err := config.Parse("config", entry.Config)
		if err != nil {
			continue
		}
		for _, s := range cfg.Services {
			for _, b := range s.Backends {
				if s.Name == service && b.Addr == backend.Addr && b.Port == backend.Port && b.Weight > 0 {
					return b.Weight
				}
			}
		}
	}
	return 1
}

// planEdit plans an edit of drain.
func planEdit(store generation.Store, plan Plan, file, command string, edit func(name string, text []byte) ([]byte, []config.Edited, error)) (Drain, error) {
	drain := Drain{command: command, before: plan.Text}
	text, edited, err := edit(plan.Name, plan.Text)
	if err != nil {
		return Drain{}, err
	}
	if drain.Plan, err = Parse(plan.Name, text); err != nil {
		return Drain{}, err
	}
	if drain.path, err = filepath.EvalSymlinks(file); err != nil {
		return Drain{}, fmt.Errorf("cannot find %s: %w", file, atomicfile.Cause(err))
	}
	for _, e := range edited {
		for _, s := range drain.Config.Services {
			if s.Name == e.Service {
				drain.Backends = append(drain.Backends, Backend{Service: s, Backend: e.Backend})
			}
		}
	}
	return drain, drain.changesNothingElse(store, file, edit)
}

// changesNothingElse is an error when to apply the config would change more than the
// backends.
func (d Drain) changesNothingElse(store generation.Store, file string, edit func(name string, text []byte) ([]byte, []config.Edited, error)) error {
	current, err := store.Current()
	if err != nil {
		return err
	}
	text, _, err := edit("current", current.Config)
	if err == nil {
		var then config.Config
		if then, err = config.Parse("current", text); err == nil && then.Equivalent(d.Config) {
			return nil
		}
	}
	return fmt.Errorf("%s has other changes that are not applied yet: see natspread diff, and apply them or take them out first", file)
}

// Empty returns the names of the services of which every backend is drained then, so that
// clients are refused.
func (d Drain) Empty() []string {
	var names []string
	for _, b := range d.Backends {
		if len(b.Service.Active()) == 0 && !slices.Contains(names, b.Service.Name) {
			names = append(names, b.Service.Name)
		}
	}
	return names
}

// Apply edits the file and applies it; when that fails the file is what it was. The file
// comes first: were the program killed in between, the next apply would drain the backend,
// and not fill it again.
func (d Drain) Apply(ctx context.Context, host restore.Host) (restore.Result, error) {
	edited := !bytes.Equal(d.before, d.Text)
	if edited {
		if err := atomicfile.ReplaceFile(d.path, d.Text); err != nil {
			return restore.Result{}, fmt.Errorf("%w; nothing was changed", err)
		}
	}
	result, err := host.Apply(ctx, d.Request(d.command))
	if err == nil || !edited {
		return result, err
	}
	if failed := d.revert(); failed != nil {
		return result, fmt.Errorf("%w, but %w", err, failed)
	}
	return result, err
}

// revert puts back what was in the file before the edit, if nobody wrote to it since: what
// somebody else saved meanwhile stays, with our edit or without it.
func (d Drain) revert() error {
	now, err := os.ReadFile(d.path)
	if err == nil && !bytes.Equal(now, d.Text) {
		return fmt.Errorf("%s was edited meanwhile and stays as it is: look whether %s is still in it", d.path, d.command)
	}
	if err == nil {
		err = atomicfile.ReplaceFile(d.path, d.before)
	}
	if err != nil {
		return fmt.Errorf("the config is still edited: cannot put it back: %w", atomicfile.Cause(err))
	}
	return nil
}

// Live counts the connections that are open at the backend, for its service.
func (b Backend) Live(ctx context.Context) (int, error) {
	counts, err := flows.CountConnections(ctx, render.VirtualServices(b.Service))
	if err != nil {
		return 0, err
	}
	place := slices.IndexFunc(b.Service.Backends, func(other config.Backend) bool {
		return other.Addr == b.Backend.Addr && other.Port == b.Backend.Port
	})
	sum := 0
	for _, backends := range counts {
		sum += backends[place]
	}
	return sum, nil
}

// End deletes the connection tracking entries of the backend, for its service.
func (b Backend) End(ctx context.Context) (deleted int, err error) {
	return flows.DeleteBackend(ctx, render.VirtualServices(b.Service), netip.AddrPortFrom(b.Backend.Addr, b.Backend.Port))
}
