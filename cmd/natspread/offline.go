package main

import (
	"context"
	"fmt"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/image"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/iptables"
	"natspread/units"
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
	program, missing, err := s.programForImage(ctx, o)
	if err != nil {
		return err
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
	done, err := s.installImageFiles(o, plan, program)
	if written.Changed {
		done = append([]string{fmt.Sprintf("wrote generation %d for the %s variant of iptables, to be proven at boot", written.Number, variant)}, done...)
	}
	result := restore.Result{Generation: written.Number, Notes: append(written.Notes, missing...)}
	if err != nil {
		return s.stopHalfway(result, done, fmt.Errorf("the image is not complete: %w", err))
	}
	if len(done) == 0 {
		s.printf("no change: the image has generation %d already", written.Number)
	}
	result.Notes = append(result.Notes, image.Lacks(s.root, programsAtBoot(plan.Tables, variant))...)
	s.noteRouter(ctx, plan.Tables, &result)
	return s.printInstalled(result, done)
}

// installImageFiles puts program, config and units into an image. What was done is returned
// beside an error, too.
func (s *session) installImageFiles(o installOptions, plan change.Plan, from copied) ([]string, error) {
	_, done, err := s.installFiles(plan, from, func(program string) ([]string, error) {
		done, err := units.InstallOffline(s.root, program)
		if err == nil && o.volatile {
			var more []string
			more, err = units.InstallFactory(s.root)
			done = append(done, more...)
		}
		if err != nil || !o.watches(plan.Config) {
			return done, err
		}
		more, err := units.InstallHealthOffline(s.root, program, o.prometheus)
		return append(done, more...), err
	})
	return done, err
}

// programForImage returns the program that goes into an image, which must be able to run there,
// and what the image lacks for it.
func (s *session) programForImage(ctx context.Context, o installOptions) (program copied, missing []string, err error) {
	program = copied{file: o.program}
	if o.program == "" {
		if program, err = s.programToCopy(ctx); err != nil || program.stays {
			return program, nil, nothingChanged(err)
		}
	}
	if missing, err = image.CheckProgram(s.root, program.file); err != nil {
		err = fmt.Errorf("the image could not run natspread: %w; nothing was changed; fix: --program FILE, a static natspread for its machine", err)
	}
	return program, missing, err
}

// programsAtBoot names the programs of iptables that boot runs for tables.
func programsAtBoot(tables rules.Tables, variant rules.Variant) []string {
	names := []string{rules.Program(rules.IPv4, "", "restore")} // by which boot knows the variant
	for _, family := range rules.Families() {
		if !tables.Of(family).Empty() {
			names = append(names, rules.Program(family, variant, "restore"), rules.Program(family, variant, "save"))
		}
	}
	return names
}
