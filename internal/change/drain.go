package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/flows"
	"natspread/restore/generation"
)

// Drain is a backend that is to get no new connections, by an edit of the config.
type Drain struct {
	Plan    // the config as it is to be
	Service config.Service
	Backend config.Backend

	path   string // of the file, behind links
	before []byte // what is in the file
}

// PlanDrain plans to drain a backend of a service in a config that was read from a file.
// A config that has other changes which are not applied yet is refused: whoever drains in
// a hurry must not apply what somebody was in the middle of writing.
func PlanDrain(store generation.Store, plan Plan, file, service, backend string) (Drain, error) {
	drain := Drain{before: plan.Text}
	text, found, err := config.Drained(plan.Name, plan.Text, service, backend)
	if err != nil {
		return Drain{}, err
	}
	if drain.Plan, err = Parse(plan.Name, text); err != nil {
		return Drain{}, err
	}
	if drain.path, err = filepath.EvalSymlinks(file); err != nil {
		return Drain{}, fmt.Errorf("cannot find %s: %w", file, atomicfile.Cause(err))
	}
	drain.Backend = found
	for _, s := range drain.Config.Services {
		if s.Name == service {
			drain.Service = s
		}
	}
	return drain, drain.changesNothingElse(store, file, service, backend)
}

// changesNothingElse is an error when to apply the config would change more than the
// backend.
func (d Drain) changesNothingElse(store generation.Store, file, service, backend string) error {
	current, err := store.Current()
	if err != nil {
		return err
	}
	text, _, err := config.Drained("current", current.Config, service, backend)
	if err == nil {
		var then config.Config
		if then, err = config.Parse("current", text); err == nil && then.Equivalent(d.Config) {
			return nil
		}
	}
	return fmt.Errorf("%s has other changes that are not applied yet: see natspread diff, and apply them or take them out first", file)
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
	result, err := host.Apply(ctx, d.Request(fmt.Sprintf("drain %s %v", d.Service.Name, d.Backend)))
	if err == nil || !edited {
		return result, err
	}
	return result, errors.Join(err, d.revert())
}

// revert puts back what was in the file before the edit, if nobody wrote to it since: what
// somebody else saved meanwhile stays, with our edit or without it.
func (d Drain) revert() error {
	now, err := os.ReadFile(d.path)
	if err == nil && !bytes.Equal(now, d.Text) {
		return fmt.Errorf("%s was edited meanwhile and stays as it is: look whether %v of service %s has weight 0 there", d.path, d.Backend, d.Service.Name)
	}
	if err == nil {
		err = atomicfile.ReplaceFile(d.path, d.before)
	}
	if err != nil {
		return fmt.Errorf("the config is still edited: %w", err)
	}
	return nil
}

// Complete tells whether every backend of the service is drained, so that clients are
// refused.
func (d Drain) Complete() bool { return len(d.Service.Active()) == 0 }

// Live counts the connections that are open at the backend, for this service.
func (d Drain) Live(ctx context.Context) (int, error) {
	counts, err := flows.CountConnections(ctx, render.VirtualServices(d.Service))
	if err != nil {
		return 0, err
	}
	place := slices.Index(d.Service.Backends, d.Backend)
	sum := 0
	for _, backends := range counts {
		sum += backends[place]
	}
	return sum, nil
}
