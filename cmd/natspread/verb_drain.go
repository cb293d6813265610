package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/urfave/cli/v2"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/render"
	"natspread/restore"
)

// drainVerb describes drain.
func (s *session) drainVerb() *cli.Command {
	return verb(&cli.Command{
		Name:      "drain",
		Usage:     "give a backend no new connections, and wait for its last",
		ArgsUsage: "SERVICE BACKEND",
		Description: "Writes weight = 0 for the backend into the config, which is left as it is in all\n" +
			"else, comments and layout too, and applies it. Open connections go on. To undo,\n" +
			"write another weight and apply. A config with other changes that are not applied\n" +
			"yet is refused.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "wait", Usage: "wait for `TIME` until no connection is left there; exit 1 if one is"},
		},
	}, "natspread drain web 10.0.0.1:80 --wait 5m", s.drain)
}

// drainResult is what drain prints with --json.
type drainResult struct {
	applyResult
	Service string `json:"service"`
	Backend string `json:"backend"`
	Live    int    `json:"live"` // connections that are open there still; 0 with --wait
}

// drain drains.
func (s *session) drain(ctx context.Context, o options) error {
	if err := needRights("drain"); err != nil {
		return err
	}
	if o.config == "-" {
		return usageErrorf("drain edits the config, which cannot be standard input: name its file")
	}
	d, result, err := s.drainOne(ctx, o)
	if err != nil {
		return err
	}
	s.tell(o, "drained %v of service %s: generation %d gives it no new connections", d.backend, d.service.Name, result.Generation)
	if len(d.service.Active()) == 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("every backend of service %s is drained: clients are refused", d.service.Name))
	}
	if err := s.printResult(o.withoutJSON(), result); err != nil {
		return err
	}
	live, err := s.awaitDrained(ctx, o, d)
	if err != nil || !o.json {
		return err
	}
	return s.printJSON(drainResult{
		applyResult: resultOf(o, result), Service: d.service.Name, Backend: d.backend.String(), Live: live,
	})
}

// drainOne drains the backend, while nobody else is between reading the config and
// applying it: whoever takes several backends out may well do so at once.
func (s *session) drainOne(ctx context.Context, o options) (drained, restore.Result, error) {
	c, unlock, err := s.loadLocked(ctx, o)
	if err != nil {
		return drained{}, restore.Result{}, err
	}
	defer unlock()
	d, err := o.planDrain(c)
	if err != nil {
		return drained{}, restore.Result{}, nothingChanged(err)
	}
	result, err := s.applyDrained(ctx, o, d)
	return d, result, err
}

// drained is a drain that can be done.
type drained struct {
	checked        // the config as it is to be
	path    string // of its file, behind links
	before  []byte // what is in the file
	service config.Service
	backend config.Backend
}

// planDrain drains the backend in a config.
func (o options) planDrain(c checked) (drained, error) {
	d := drained{before: c.text}
	text, backend, err := config.Drained(c.name, c.text, o.args[0], o.args[1])
	if err != nil {
		return drained{}, err
	}
	if d.checked, err = check(c.name, text); err != nil {
		return drained{}, err
	}
	if d.path, err = filepath.EvalSymlinks(o.config); err != nil {
		return drained{}, fmt.Errorf("cannot find %s: %w", o.config, cause(err))
	}
	d.backend = backend
	for _, service := range d.config.Services {
		if service.Name == o.args[0] {
			d.service = service
		}
	}
	return d, o.onlyDrains(d)
}

// onlyDrains is an error when to apply the config would change more than the
// backend: whoever drains in a hurry must not apply what somebody was in the middle
// of writing.
func (o options) onlyDrains(d drained) error {
	current, err := o.store().Current()
	if err != nil {
		return err
	}
	text, _, err := config.Drained("current", current.Config, o.args[0], o.args[1])
	if err == nil {
		var then checked
		if then, err = check("current", text); err == nil && then.config.Equivalent(d.config) {
			return nil
		}
	}
	return fmt.Errorf("%s has other changes that are not applied yet: see natspread diff, and apply them or take them out first", o.config)
}

// applyDrained edits the file and applies it; when that fails the file is what it
// was. The file comes first: were the program killed in between, the next apply
// would drain the backend, and not fill it again.
func (s *session) applyDrained(ctx context.Context, o options, d drained) (restore.Result, error) {
	edited := !bytes.Equal(d.before, d.text)
	if edited {
		if err := replaceFile(d.path, d.text); err != nil {
			return restore.Result{}, nothingChanged(err)
		}
	}
	request := d.request(fmt.Sprintf("drain %s %v", d.service.Name, d.backend), false)
	result, err := s.host(o).Apply(ctx, request)
	if err == nil || !edited {
		return result, err
	}
	if failed := replaceFile(d.path, d.before); failed != nil {
		return result, fmt.Errorf("%w; but the config is still edited: %w", err, failed)
	}
	return result, err
}

// replaceFile replaces a file by one of the same mode and owner.
func replaceFile(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, cause(err))
	}
	if err := atomicfile.WriteFile(path, text, info.Mode().Perm()); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("cannot give %s back to its owner: %w", path, cause(err))
	}
	return nil
}

// live counts the connections that are open at the backend, for this service.
func (d drained) live(ctx context.Context) (int, error) {
	counts, err := restore.Live(ctx, render.VirtualServices(d.service))
	if err != nil {
		return 0, err
	}
	place := slices.Index(d.service.Backends, d.backend)
	sum := 0
	for _, pool := range counts {
		sum += pool[place]
	}
	return sum, nil
}
