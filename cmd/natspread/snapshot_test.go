package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// lockDir is made by whoever wants the lock, before it is clear whether anything
// will change, and holds what was last read of the kernel, which only saves another
// read, and the number of the last trial, which is not given again: none of them is part
// of a snapshot.
const lockDir = "run/natspread"

// snapshot writes a text into a file that changes when anything does: in the
// kernel's tables, both variants, both families, in the forwarding switches, or in a
// file below one of the directories, $WORK/root when none is given.
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 0, "snapshot FILE [DIRECTORY...]")
	dirs := args[1:]
	if len(dirs) == 0 {
		dirs = []string{"root"}
	}
	text, err := kernelText()
	ts.Check(err)
	for _, dir := range dirs {
		tree, err := treeText(ts.MkAbs(dir))
		ts.Check(err)
		text += tree
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// kernelText returns every table of this network namespace, and its forwarding.
func kernelText() (string, error) {
	var text strings.Builder
	for _, program := range []string{"iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		if _, err := exec.LookPath(program); err != nil {
			continue
		}
		saved, err := exec.Command(program).Output()
		if err != nil { // an ordinary user's legacy variant may not list the tables
			saved, err = exec.Command(program, "-t", "nat").Output()
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", program, err)
		}
		fmt.Fprintf(&text, "%s\n", program)
		for table := range strings.SplitAfterSeq(string(saved), "COMMIT\n") {
			text.WriteString(tableText(table))
		}
	}
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		value, err := os.ReadFile("/proc/sys/net/" + name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s %s", name, value)
	}
	return text.String(), nil
}

// tableText returns what a saved table holds, without the comments that tell the
// time. A table as empty as one that does not exist is no text: the kernel keeps it.
func tableText(saved string) string {
	var text strings.Builder
	holds := false
	for line := range strings.Lines(saved) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		text.WriteString(line)
		empty := strings.HasPrefix(line, "*") || strings.Contains(line, " ACCEPT [0:0]") || line == "COMMIT\n"
		holds = holds || !empty
	}
	if !holds {
		return ""
	}
	return text.String()
}

// treeText returns a line for everything below a directory.
func treeText(dir string) (string, error) {
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		_, inside, found := strings.Cut(path, "/"+lockDir)
		if found && slices.Contains([]string{"", "/lock", "/lock-edit", "/loaded", "/last-tried"}, inside) || path == filepath.Join(dir, "run") {
			return nil
		}
		line, err := fileText(path)
		fmt.Fprintf(&text, "%s %s\n", path, line)
		return err
	})
	return text.String(), err
}

// fileText describes a file so that no change of it goes unseen. The times of
// directories are left out, since what is made and taken away again changes them.
func fileText(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	switch {
	case info.Mode().IsRegular() && info.Size() < 1<<20:
		data, err := os.ReadFile(path)
		return fmt.Sprintf("%v %v %x", info.Mode(), info.ModTime().UnixNano(), sha256.Sum256(data)), err
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := os.Readlink(path)
		return "-> " + target, err
	case info.IsDir():
		return info.Mode().String(), nil
	}
	return fmt.Sprintf("%v %v %d", info.Mode(), info.ModTime().UnixNano(), info.Size()), nil
}
