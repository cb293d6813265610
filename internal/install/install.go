// Package install puts the program, the config and the units where a boot finds them, on a running machine or in an
// image. The rules were written before.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"natspread/internal/atomicfile"
	"natspread/internal/configfiles"
	"natspread/internal/image"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/units"
)

// Program is the program that goes below a root, or the one that stays where it is.
type Program struct {
	file  string
	stays bool
}

// Running returns the running program. It stays where it is if a package owns it or ships the unit: a copy would come
// before the package's program in PATH, and no upgrade of the package would replace it.
func Running(ctx context.Context, root string, run program.Runner) (Program, error) {
	self, err := program.Path()
	if err != nil {
		return Program{}, fmt.Errorf("cannot find the running program: %w", err)
	}
	packaged, err := units.Packaged(root)
	return Program{self, packaged || root == "/" && units.Owned(ctx, run, self)}, err
}

// ForImage returns the program that goes into an image, file or else the running one, and what the image lacks for it.
// One that could not run there is an error.
func ForImage(ctx context.Context, root, file string, run program.Runner) (chosen Program, missing []string, err error) {
	chosen = Program{file: file}
	if file == "" {
		if chosen, err = Running(ctx, root, run); err != nil || chosen.stays {
			return chosen, nil, err
		}
	}
	if missing, err = image.CheckProgram(root, chosen.file); err != nil {
		err = fmt.Errorf("the image could not run natspread: %w", err)
	}
	return chosen, missing, err
}

// Live installs for the running systemd and starts the unit. It returns where the program is; what was done is returned
// beside an error, too.
func Live(ctx context.Context, manager units.Manager, root string, from Program, config configfiles.Set) (place string, done []string, err error) {
	place, done, err = files(root, from, config)
	if err != nil {
		return "", done, err
	}
	more, err := units.Install(ctx, manager, root, place)
	return place, append(done, more...), err
}

// Watch has the backends of a program's rules checked, if they are to be, and metrics written into a file, unless that
// is "": by the watcher, or by a timer where there is none. An error says what is not done; what was done is returned
// beside it, too.
func Watch(ctx context.Context, manager units.Manager, root, place string, checked bool, metrics string) (done []string, err error) {
	switch {
	case checked:
		if done, err = units.InstallHealth(ctx, manager, root, place, metrics); err != nil {
			err = fmt.Errorf("backends are not checked: %w", err)
		}
	case metrics != "":
		if done, err = units.InstallMetrics(ctx, manager, root, place, metrics); err != nil {
			err = fmt.Errorf("metrics are not written: %w", err)
		}
	}
	return done, err
}

// Image is what an image is to have beside its rules.
type Image struct {
	Root       string
	Config     configfiles.Set
	Volatile   bool   // its /var is empty at each boot
	Watched    bool   // its backends are checked
	Prometheus string // the file of metrics, the watcher's if it is watched; "" for none
}

// Install installs into an image. What was done is returned beside an error, too.
func (i Image) Install(from Program) (done []string, err error) {
	place, done, err := files(i.Root, from, i.Config)
	steps := []struct {
		wanted bool
		take   func() ([]string, error)
	}{
		{true, func() ([]string, error) { return units.InstallOffline(i.Root, place) }},
		{i.Volatile, func() ([]string, error) { return units.InstallFactory(i.Root) }},
		{i.Watched, func() ([]string, error) { return units.InstallHealthOffline(i.Root, place, i.Prometheus) }},
		{!i.Watched && i.Prometheus != "", func() ([]string, error) { return units.InstallMetricsOffline(i.Root, place, i.Prometheus) }},
	}
	for _, step := range steps {
		if err == nil && step.wanted {
			var more []string
			more, err = step.take()
			done = append(done, more...)
		}
	}
	return done, err
}

// files puts program and config in place. What was done is returned beside an error, too.
func files(root string, from Program, config configfiles.Set) (place string, done []string, err error) {
	place = from.file
	if !from.stays {
		if place, done, err = units.InstallProgram(root, from.file); err != nil {
			return "", nil, err
		}
	}
	kept, err := keepConfig(root, config)
	return place, append(done, kept...), err
}

// keepConfig puts the files of the config that was installed where the next apply reads them, unless another config is
// there. One of which some files are there was left by a kill, or has a file more than the last one that was installed.
func keepConfig(root string, config configfiles.Set) (done []string, err error) {
	there, err := placed(root)
	if err != nil || firstOther(there, config) != "" {
		return nil, err
	}
	for _, f := range config {
		if there[f.Name] != "" {
			continue
		}
		path, err := atomicfile.Place(root, filepath.Join(filepath.Dir(paths.Config), f.Name))
		if err == nil {
			err = atomicfile.CreateAll(path, f.Text, 0o644)
		}
		if err != nil {
			return done, err
		}
		done = append(done, "config "+path)
	}
	return done, nil
}

// OtherConfig returns the first file of another config than the installed one that is where the next apply reads it, ""
// for none.
func OtherConfig(root string, config configfiles.Set) string {
	there, err := placed(root)
	if err != nil {
		return ""
	}
	return firstOther(there, config)
}

// firstOther returns the first of some files, by their names in the config, which the config does not have so.
func firstOther(there map[string]string, config configfiles.Set) string {
	for _, name := range slices.Sorted(maps.Keys(there)) {
		text, err := os.ReadFile(there[name])
		if at := config.At(name); err != nil || at < 0 || !bytes.Equal(text, config[at].Text) {
			return there[name]
		}
	}
	return ""
}

// placed returns where the files are that apply would read, by their names in the config.
func placed(root string) (map[string]string, error) {
	names := []string{configfiles.Main}
	first, err := atomicfile.Place(root, filepath.Join(filepath.Dir(paths.Config), configfiles.Dir, "x"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Dir(first))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if configfiles.Ignored(entry.Name()) == "" {
			names = append(names, configfiles.Dir+"/"+entry.Name())
		}
	}
	there := map[string]string{}
	for _, name := range names {
		path, err := atomicfile.Place(root, filepath.Join(filepath.Dir(paths.Config), name))
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(path); err == nil {
			there[name] = path
		}
	}
	return there, nil
}

// ProgramsAtBoot names the programs of iptables that boot runs for tables.
func ProgramsAtBoot(tables rules.Tables, variant rules.Variant) []string {
	names := []string{rules.Program(rules.IPv4, "", "restore")} // by which boot knows the variant
	for _, family := range rules.Families() {
		if !tables.Of(family).Empty() {
			names = append(names, rules.Program(family, variant, "restore"), rules.Program(family, variant, "save"))
		}
	}
	return names
}
