package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
)

// Every verb's help must name each of its flags and have an example that can be
// typed as it stands, and fit a terminal.
func TestVerbHelp(t *testing.T) {
	t.Parallel()
	for _, command := range (&session{}).program().Verbs {
		help := inProcess(command.Name, "--help").want(t, exitDone)
		if help.err != "" || !strings.HasSuffix(help.out, "\n") {
			t.Errorf("%s: help is not data: %q", command.Name, help.err)
		}
		wantNarrow(t, help.out)
		for _, flag := range command.Flags {
			wantFlag(t, command.Name, help.out, flag)
		}
		_, common, _ := strings.Cut(help.out, "\nFlags of every verb, which natspread --help explains:\n")
		for _, flag := range append(commonFlags(), &cli.BoolFlag{Name: "help", Aliases: []string{"h"}}) {
			names := strings.Join(cmdline.Described([]cli.Flag{flag})[0].Names, " or ")
			if !strings.Contains(" "+strings.Join(strings.Fields(common), " "), " "+names) {
				t.Errorf("%s: help does not name %s", command.Name, names)
			}
		}
		_, example, found := strings.Cut(help.out, "\nExample:\n")
		example, _, _ = strings.Cut(example, "\n\n")
		if !found || !strings.Contains(example, command.Name) {
			t.Errorf("%s: no example of it", command.Name)
		}
		wantExamples(t, example)
	}
}

// wantNarrow fails unless every line fits.
func wantNarrow(t *testing.T, help string) {
	t.Helper()
	for line := range strings.Lines(help) {
		if width := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width > 80 {
			t.Errorf("%d characters wide: %s", width, line)
		}
		if strings.ContainsAny(line, "`\t") {
			t.Errorf("not for people: %q", line)
		}
	}
}

// wantFlag fails unless a line of the help begins with the flag's names, and its
// value if it takes one, and says something of it.
func wantFlag(t *testing.T, verb, help string, flag cli.Flag) {
	t.Helper()
	names := strings.Join(cmdline.Described([]cli.Flag{flag})[0].Names, ", ")
	value := ""
	if _, boolean := flag.(*cli.BoolFlag); !boolean {
		value = " [A-Z:]+"
	}
	line := regexp.MustCompile("(?m)^  " + names + value + "  +[a-z]")
	if !line.MatchString(help) {
		t.Errorf("%s: help has no line for %s", verb, names)
	}
}

// wantExamples fails unless natspread takes each line of an example.
func wantExamples(t *testing.T, example string) {
	t.Helper()
	for line := range strings.Lines(example) {
		for typed := range strings.SplitSeq(line, "&&") {
			words := strings.Fields(typed)
			for i, word := range words {
				if word == "./image" {
					words[i] = "." // any directory that is there
				}
			}
			if words[0] != "natspread" {
				t.Errorf("%q is not a run of natspread", typed)
				continue
			}
			if _, err := parse(words[1:]...); err != nil {
				t.Errorf("the example %q: %v", typed, err)
			}
		}
	}
}

// The help of the program must name every verb, every common flag and every exit
// code.
func TestProgramHelp(t *testing.T) {
	t.Parallel()
	help := inProcess("--help").want(t, exitDone).out
	wantNarrow(t, help)
	if lines := strings.Count(help, "\n"); lines > 60 {
		t.Errorf("%d lines: it is to be read at once", lines)
	}
	for _, command := range (&session{}).program().Verbs {
		if !strings.Contains(help, "\n  "+command.Name+" ") || !strings.Contains(help, command.Usage+"\n") {
			t.Errorf("the help does not have %s", command.Name)
		}
	}
	for _, flag := range commonFlags() {
		wantFlag(t, "natspread", help, flag)
	}
	for _, exit := range exitCodes() {
		if line := fmt.Sprintf("\n  %-2d  %s\n", exit.Code, exit.Words); !strings.Contains(help, line) {
			t.Errorf("the help has no line %q", line)
		}
	}
}
