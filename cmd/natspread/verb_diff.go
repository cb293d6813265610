package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/generation"
)

// diffVerb describes diff.
func (s *session) diffVerb() *cli.Command {
	return verb(&cli.Command{
		Name:      "diff",
		Usage:     "compare the kernel's rules with what the config wants",
		ArgsUsage: "[N] [M]",
		Description: "Prints what apply would change, service by service: backends that come (+) and\n" +
			"go (-), weights and shares before and after, and whatever else is another; and\n" +
			"what drifted since it was loaded and apply would mend. With -v a unified diff of\n" +
			"the rules follows: - is in the kernel, + is what apply would load.\n" +
			"Exits 0 when there is no difference, 1 when there is one, and 2, or the code of\n" +
			"the cause, on trouble. With --saved it compares with a file that iptables-save\n" +
			"wrote, by rules only; that takes no rights, and -6 says that it is one of IPv6.\n" +
			"With generations it compares these: N with M, or N with the one that is current.",
		Flags: append(familyFlags("compare only"),
			&cli.StringFlag{Name: "saved", Usage: "compare with this `FILE` of iptables-save; - is standard input"},
		),
	}, "natspread diff -v\n  natspread diff 3 4", s.diff)
}

// diffResult is what diff prints with --json, and apply --dry-run a part of it.
type diffResult struct {
	Differ   bool            `json:"differ"`
	Services []serviceChange `json:"services"` // what becomes of them; none where only rules are known
	Drift    []string        `json:"drift"`    // what is not as it was loaded and apply would mend, a line each
	Added    int             `json:"added"`    // lines of rules that apply would add, or that M adds to N
	Removed  int             `json:"removed"`  // lines that apply would remove, or that M removes
	Diff     string          `json:"diff"`     // of the rules, unified

	unnamed error  // why the services are not known; nil where they are
	foreign int    // lines of others that apply --exclusive would remove
	loaded  int    // the generation that was loaded; 0 when none is
	anew    string // why apply would make a new generation all the same; "" when it would not
}

// diff compares.
func (s *session) diff(ctx context.Context, o options) error {
	if len(o.generations) > 0 {
		return s.diffGenerations(o)
	}
	if o.saved == "" {
		if err := needRights("diff"); err != nil {
			return err
		}
	}
	c, err := s.load(o)
	if err != nil {
		return err
	}
	compare := s.compareKernel
	if o.saved != "" {
		compare = s.compareSaved
	}
	result, err := compare(ctx, o, c)
	if err != nil {
		return troubled(err)
	}
	return s.printDiff(o, "apply would bring", result)
}

// compareKernel compares the kernel with what a config wants: the rules with the rules,
// and the services with those of the generation whose rules the kernel was given.
func (s *session) compareKernel(ctx context.Context, o options, c checked) (diffResult, error) {
	found, err := s.host(o).Status(ctx)
	if err != nil {
		return diffResult{}, err
	}
	var result diffResult
	wanted := c.tables.All()
	for _, i := range o.diffTables() {
		result.add(diff.Diff("kernel "+wanted[i].String(), found.Live[i].OwnText(), c.name+" "+wanted[i].String(), wanted[i].Text()))
	}
	result.addDrift(found, o.diffFamilies())
	result.anew = newGeneration(found, c.text)
	before, err := loadedConfig(found)
	if err != nil {
		result.unnamed = err
		return result, nil
	}
	result.name(serviceChanges(before, c.config, o.diffFamilies()))
	return result, nil
}

// newGeneration says why apply would make a new generation even of what is loaded as it
// should be; "" when it would not.
func newGeneration(found restore.Status, text []byte) string {
	switch given := found.Wanted; {
	case given.Generation == 0:
		return "there is none"
	case given.Variant != found.Variant:
		return fmt.Sprintf("generation %d was made for the %s variant of iptables", given.Generation, given.Variant)
	case !given.Proven:
		return fmt.Sprintf("generation %d was not proven on this host", given.Generation)
	case !bytes.Equal(given.Config, text):
		return fmt.Sprintf("the words of the config are others than in generation %d", given.Generation)
	}
	return ""
}

// loadedConfig returns the config whose rules the kernel was given; one without
// services where nothing is loaded.
func loadedConfig(found restore.Status) (config.Config, error) {
	if found.State == restore.NotLoaded {
		return config.Config{}, nil
	}
	if found.Wanted.Generation == 0 {
		return config.Config{}, errors.New("no generation says which services the kernel's rules are for")
	}
	return savedConfig(found.Wanted)
}

// savedConfig reads a generation's own config. One of another version need not parse;
// its rules are as good as ever.
func savedConfig(generation generation.Generation) (config.Config, error) {
	return config.Parse(fmt.Sprintf("generation %d's config", generation.Generation), generation.Config)
}

// troubled gives trouble the exit code that diff(1) uses, as 1 means a difference.
func troubled(err error) error {
	if code := exitCode(err); code != exitFailed {
		return err
	}
	return coded(exitUsage, err)
}

// diffFamilies returns the families to compare.
func (o options) diffFamilies() []rules.Family {
	if o.family6 || o.family4 {
		return []rules.Family{o.family()}
	}
	return rules.Families()
}

// diffTables returns the places of the tables to compare, in the order of restore's
// Tables.All.
func (o options) diffTables() []int {
	var places []int
	for i, table := range (rules.Tables{}).All() {
		if slices.Contains(o.diffFamilies(), table.Family) {
			places = append(places, i)
		}
	}
	return places
}

// add adds the diff of one table.
func (r *diffResult) add(unified []byte) {
	if len(unified) == 0 {
		return
	}
	// The first line is the command line that would make the diff.
	_, unified, _ = bytes.Cut(unified, []byte("\n"))
	for line := range strings.Lines(string(unified)) {
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
		case line[0] == '+':
			r.Added++
		case line[0] == '-':
			r.Removed++
		}
	}
	r.Diff += string(unified)
	r.Differ = true
}

// addDrift adds what is not as it was loaded and that apply would mend: also that a jump
// stands behind rules of others, which is only a note in the status.
func (r *diffResult) addDrift(found restore.Status, families []rules.Family) {
	lines := slices.Concat(found.OtherVariant, found.Forwarding, found.Behind)
	if found.Wanted.Generation != 0 { // else each rule would be left over
		lines = slices.Concat(found.Rules, lines)
	}
	r.Drift = append(r.Drift, found.Boot...)
	for _, line := range lines {
		if slices.Contains(families, line.Family) {
			r.Drift = append(r.Drift, line.Text)
		}
	}
	if found.State != restore.NotLoaded {
		r.loaded = found.Wanted.Generation
	}
	r.Differ = r.Differ || len(r.Drift) > 0
}

// removeForeign adds that lines vanish that are not natspread's.
func (r *diffResult) removeForeign(lines int) {
	r.foreign = lines
	r.Differ = r.Differ || lines > 0
}

// name adds what becomes of the services. What no rule shows, as on_remove, is a
// difference too: apply would make a new generation of it.
func (r *diffResult) name(services []serviceChange) {
	r.Services = services
	r.Differ = r.Differ || len(services) > 0
}
