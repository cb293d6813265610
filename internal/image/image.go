// Package image judges the files of a system that boots elsewhere: whether a program can start there, and what is
// missing for that.
package image

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/program"
)

// CheckProgram is an error unless a file, which is outside of the image below root, is a natspread that can start in
// the image: built for its machine, and with the loader and the C library that it needs. Of a root that is no system
// yet nothing can be told, and nothing is refused: what would be missing there is returned.
func CheckProgram(root, file string) (missing []string, err error) {
	info, err := buildinfo.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist", file)
	}
	if err != nil || info.Main.Path != "natspread" {
		return nil, fmt.Errorf("%s is not natspread", file)
	}
	binary, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the program %s: %w", file, atomicfile.Cause(err))
	}
	defer binary.Close()
	shown, at := example(root)
	if shown != "" && at != machineOf(binary) {
		return nil, fmt.Errorf("%s is built for %s, and the image is for %s, as %s there shows", file, machineOf(binary), at, shown)
	}
	why := unlinkable(root, binary)
	switch {
	case why == "":
		return nil, nil
	case shown == "":
		return []string{"the program that goes in is no static one: " + why}, nil
	}
	return nil, fmt.Errorf("%s is no static program: %s", file, why)
}

// machine is what a processor and its kernel can run.
type machine struct {
	elf.Machine
	elf.Class
	elf.Data
}

// machineOf returns the machine that a program is for.
func machineOf(binary *elf.File) machine { return machine{binary.Machine, binary.Class, binary.Data} }

// String names it as uname -m does, mostly.
func (m machine) String() string {
	name := strings.ToLower(strings.TrimPrefix(m.Machine.String(), "EM_"))
	if m.Machine == elf.EM_386 {
		name = "i386"
	}
	if m.Data == elf.ELFDATA2MSB {
		name += ", big endian"
	}
	return name
}

// example returns a program that the image cannot do without, and for what machine it is; "" where there is none, or
// only scripts.
func example(root string) (file string, at machine) {
	for _, file := range append(systemds(), "/sbin/init", "/bin/sh", "/usr/bin/env", "/bin/busybox") {
		if binary, err := open(root, file); err == nil {
			defer binary.Close()
			return file, machineOf(binary)
		}
	}
	return "", machine{}
}

// systemds are the places of systemd's own program.
func systemds() []string { return []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} }

// open opens a program in the image.
func open(root, file string) (*elf.File, error) {
	path, err := atomicfile.Resolve(root, file, nil)
	if err != nil {
		return nil, err
	}
	return elf.Open(path)
}

// unlinkable says why the image's loader could not start a program; "" where it can, or none is needed.
func unlinkable(root string, binary *elf.File) string {
	name := loader(binary)
	if name == "" {
		return ""
	}
	place, err := atomicfile.Resolve(root, name, nil)
	if err == nil {
		var found *elf.File
		if found, err = elf.Open(place); err == nil {
			found.Close()
		}
	}
	if err != nil {
		return fmt.Sprintf("it needs %s, which is not in the image", name)
	}
	return tooOld(filepath.Dir(place), binary)
}

// loader returns the interpreter that a program names; "" for a static one.
func loader(binary *elf.File) string {
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP {
			name := make([]byte, min(part.Filesz, 4096))
			count, _ := part.ReadAt(name, 0)
			return strings.TrimRight(string(name[:count]), "\x00")
		}
	}
	return ""
}

// tooOld says which version of a library a program needs and the library in a directory does not have: the C
// library is beside its loader. Of a library that is not there nothing is said: it may be elsewhere.
func tooOld(dir string, binary *elf.File) string {
	needed, err := binary.ImportedSymbols()
	if err != nil {
		return ""
	}
	has := map[string][]string{}
	for _, symbol := range needed {
		if symbol.Library == "" || symbol.Version == "" {
			continue
		}
		versions, known := has[symbol.Library]
		if !known {
			versions = versionsOf(filepath.Join(dir, symbol.Library))
			has[symbol.Library] = versions
		}
		if len(versions) > 0 && !slices.Contains(versions, symbol.Version) {
			return fmt.Sprintf("it needs %s of %s, which the image's is too old for", symbol.Version, symbol.Library)
		}
	}
	return ""
}

// versionsOf returns the versions that a library defines; none where they cannot be read.
func versionsOf(file string) []string {
	library, err := elf.Open(file)
	if err != nil {
		return nil
	}
	defer library.Close()
	defined, err := library.DynamicVersions()
	if err != nil {
		return nil
	}
	var names []string
	for _, version := range defined {
		names = append(names, version.Name)
	}
	return names
}

// Lacks says what an image does not have of what boot needs: systemd, and the programs of iptables with these names.
func Lacks(root string, iptables []string) (missing []string) {
	var absent []string
	for _, name := range iptables {
		if program.Find(root, name) == "" && !slices.Contains(absent, name) {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		missing = append(missing, fmt.Sprintf("the image has no %s: boot would load nothing, and end with exit code 5; fix: install iptables in it", strings.Join(absent, ", ")))
	}
	if !slices.ContainsFunc(systemds(), func(file string) bool { return exists(root, file) }) {
		missing = append(missing, "the image has no systemd: nothing starts natspread at boot; fix: install systemd in it, or have natspread restore run before the network")
	}
	return missing
}

// exists tells whether a file is in the image.
func exists(root, file string) bool {
	path, err := atomicfile.Resolve(root, file, nil)
	if err == nil {
		_, err = os.Stat(path)
	}
	return err == nil
}
