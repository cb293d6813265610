package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/urfave/cli/v2"

	"natspread/nat"
)

// diffVerb describes diff.
func (s *session) diffVerb() *cli.Command {
	return verb(&cli.Command{
		Name:      "diff",
		Usage:     "compare the kernel's rules with what the config wants",
		ArgsUsage: "[N] [M]",
		Description: "Prints a unified diff of natspread's part of the nat table: - is in the kernel,\n" +
			"+ is what apply would load. Exits 0 when there is none, 1 when there is one,\n" +
			"and 2, or the code of the cause, on trouble. With --saved it compares with a\n" +
			"file that iptables-save wrote, which takes no rights; -6 says that it is one\n" +
			"of IPv6. With generations it compares their rules: N with M, or N with the one\n" +
			"that is current.",
		Flags: append(familyFlags("compare only"),
			&cli.StringFlag{Name: "saved", Usage: "compare with this `FILE` of iptables-save; - is standard input"},
		),
	}, "natspread diff --color always\n  natspread diff 3 4", s.diff)
}

// diffResult is what diff prints with --json.
type diffResult struct {
	Differ  bool   `json:"differ"`
	Added   int    `json:"added"`   // lines that apply would add, or that M adds to N
	Removed int    `json:"removed"` // lines that apply would remove, or that M removes
	Diff    string `json:"diff"`    // unified
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
	var result diffResult
	for _, family := range o.diffFamilies() {
		live, err := s.liveText(ctx, o, c, family)
		if err != nil {
			return troubled(err)
		}
		from := "kernel " + family.String()
		if o.saved != "" {
			from = o.saved
		}
		result.add(diff.Diff(from, live, c.name+" "+family.String(), c.tables.Of(family).Text()))
	}
	return s.printDiff(o, "apply would add %s and remove %s", result)
}

// troubled gives trouble the exit code that diff(1) uses, as 1 means a difference.
func troubled(err error) error {
	if code := exitCode(err); code != exitFailed {
		return err
	}
	return coded(exitUsage, err)
}

// diffFamilies returns the families to compare: a saved file has one.
func (o options) diffFamilies() []nat.Family {
	if o.saved != "" || o.family6 || o.family4 {
		return []nat.Family{o.family()}
	}
	return nat.Families()
}

// liveText returns natspread's part of a family's table, live or from a file.
func (s *session) liveText(ctx context.Context, o options, c checked, family nat.Family) ([]byte, error) {
	if o.saved != "" {
		text, err := s.readSaved(o.saved)
		if err != nil {
			return nil, fmt.Errorf("cannot read --saved %s: %w", o.saved, err)
		}
		saved, err := nat.ParseSaved(text)
		if err != nil {
			return nil, fmt.Errorf("cannot read --saved %s: %w: write it with iptables-save", o.saved, err)
		}
		return saved.OwnText(), nil
	}
	kernel, err := s.host(o).Kernel(ctx)
	if err != nil {
		return nil, err
	}
	saved, err := kernel.Read(ctx, c.tables.Of(family))
	return saved.OwnText(), err
}

// maxSaved bounds a file of iptables-save: 10,000 services of three backends are
// 8 MB.
const maxSaved = 64 << 20

// readSaved reads a file of iptables-save, also a FIFO, as in
// --saved <(ssh HOST iptables-save).
func (s *session) readSaved(name string) ([]byte, error) {
	in := s.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, cause(err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSaved+1))
	if err == nil && len(text) > maxSaved {
		err = fmt.Errorf("it is larger than %d MiB", maxSaved>>20)
	}
	return text, cause(err)
}

// add adds the diff of one family.
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

// printDiff prints the diff and a summary, whose words take two numbers of lines, and
// exits as diff(1) does.
func (s *session) printDiff(o options, summary string, result diffResult) error {
	var err error
	if o.json {
		err = s.printJSON(result)
	} else {
		err = s.print(s.paintDiff(o, result.Diff))
	}
	if err != nil {
		return troubled(err)
	}
	if !result.Differ {
		s.tell(o, "no difference")
		return nil
	}
	s.tell(o, summary, plural(result.Added, "line"), plural(result.Removed, "line"))
	return exitSilently(exitFailed)
}

// paintDiff colors the lines of a unified diff.
func (s *session) paintDiff(o options, unified string) string {
	if !s.colored(o) {
		return unified
	}
	var painted strings.Builder
	for line := range strings.Lines(unified) {
		code := map[byte]string{'+': "32", '-': "31", '@': "36"}[line[0]]
		line = strings.TrimSuffix(line, "\n")
		if code != "" {
			line = s.paint(o, code, line)
		}
		painted.WriteString(line + "\n")
	}
	return painted.String()
}
