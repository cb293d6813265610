package main

import (
	"context"
	"fmt"

	"natspread/internal/cmdline"
	"natspread/internal/image"
	"natspread/internal/install"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/iptables"
)

// installOffline installs into an image. All that can be refused is, before anything is written.
func (s *session) installOffline(ctx context.Context, o installOptions) error {
	plan, err := s.load()
	if err != nil {
		return err
	}
	request := plan.Request("install")
	if request.Now, err = image.BuildTime(request.Now); err != nil {
		return cmdline.Coded(exitUsage, err)
	}
	program, missing, err := install.ForImage(ctx, s.root, o.program, s.runner)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed; fix: --program FILE, a static natspread for its machine", err)
	}
	variant := s.variant
	if variant == rules.Auto {
		variant = iptables.ImageVariant(s.root)
	}
	write := s.host().WriteOffline
	if o.volatile {
		write = s.host().WriteFactory
	}
	written, err := write(ctx, request, variant)
	if err != nil {
		return err
	}
	into := install.Image{Root: s.root, Config: plan.Files, Volatile: o.volatile, Watched: checked(plan.Config), Prometheus: o.prometheus}
	done, err := into.Install(program)
	if written.Changed {
		done = append([]string{fmt.Sprintf("wrote generation %d for the %s variant of iptables, to be proven at boot: %s", written.Number, variant, plan.Summary())}, done...)
	}
	result := restore.Result{Generation: written.Number, Notes: append(written.Notes, missing...)}
	if other := install.OtherConfig(s.root, plan.Files); other != "" {
		result.Notes = append(result.Notes, other+" is of another config, and stays: the next install or apply there takes that one")
	}
	if err != nil {
		return s.stopHalfway(result, done, fmt.Errorf("the image is not complete: %w", err))
	}
	if len(done) == 0 {
		s.Printf("no change: the image has generation %d already", written.Number)
	}
	result.Notes = append(result.Notes, image.Lacks(s.root, install.ProgramsAtBoot(plan.Tables, variant))...)
	s.noteRouter(ctx, plan.Tables, &result)
	return s.printInstalled(result, done)
}
