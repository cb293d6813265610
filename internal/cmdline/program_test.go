package cmdline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/suggest"
)

// sailor is a program of two verbs that say what they were given.
func sailor(said *bytes.Buffer) cmdline.Program {
	speed, quiet := "", false
	return cmdline.Program{
		Name: "sailor", Usage: "sails", Description: "A ship.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "speed", Usage: "sail at so many `KNOTS`"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing"},
			&cli.StringFlag{Name: "config", Usage: "read `FILE`"},
		},
		Read: func(c *cli.Context) error {
			speed, quiet = c.String("speed"), c.Bool("quiet")
			return cmdline.RefuseIf(quiet && speed != "", "--speed and --quiet exclude each other")
		},
		Verbs: []*cli.Command{
			cmdline.Verb(&cli.Command{Name: "sail", ArgsUsage: "FROM [TO]", Usage: "sails there", Flags: []cli.Flag{&cli.BoolFlag{Name: "far", Usage: "goes far"}}}, "sailor sail A B",
				func(c *cli.Context) (string, error) { return strings.Join(c.Args().Slice(), ","), nil },
				func(_ context.Context, args string) error {
					fmt.Fprintf(said, "sail %s speed=%s quiet=%t", args, speed, quiet)
					return nil
				}),
			cmdline.Verb(&cli.Command{Name: "anchor", Usage: "stays"}, "sailor anchor", cmdline.ReadNone,
				cmdline.Guarded(func(verb string) error { return fmt.Errorf("%s is refused", verb) }, "anchor",
					func(context.Context, cmdline.None) error { panic("refused") })),
		},
		Habits: []suggest.Habit{
			{Typed: "swim float", Why: "a ship has no arms", Instead: "sailor sail FROM"}, {Typed: "moor", Instead: "sailor anchor"},
			{Typed: "-c --file", Instead: "--config FILE"}, {Typed: "-n", Instead: "--dry"}, {Typed: "-?", Instead: "--help"},
		},
		Exits: []cmdline.Exit{{Code: 0, Words: "there"}, {Code: 2, Words: "wrong usage"}},
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"sail A":                       "sail A speed= quiet=false",
		"sail A B --speed 4":           "sail A,B speed=4 quiet=false",
		"--speed=4 sail A B":           "sail A,B speed=4 quiet=false",
		"--speed sail sail A":          "sail A speed=sail quiet=false",
		"-q sail A --quiet":            "sail A speed= quiet=true",
		"sail A -- --speed":            "sail A,--speed speed= quiet=false",
		"sail -":                       "sail - speed= quiet=false",
		"sail":                         "sailor sail needs FROM [TO]: see sailor sail --help",
		"sail A B C":                   `sailor sail takes 2 arguments, not "C" too: see sailor sail --help`,
		"anchor A":                     `sailor anchor takes no argument "A": see sailor anchor --help`,
		"anchor":                       "anchor is refused",
		"sial A":                       `verb "sial" does not exist: did you mean sail?`,
		"row":                          `verb "row" does not exist: see sailor --help`,
		"sail A --sped 4":              `sailor sail has no flag "--sped": did you mean --speed?`,
		"sail A --speed":               "--speed needs a value: see sailor sail --help",
		"sail A --speed=":              "--speed is given an empty value: see sailor sail --help",
		"sail A --quiet=x":             `--quiet takes no value, not "x": write --quiet, or leave it out`,
		"sail A --quiet --speed 4":     "--speed and --quiet exclude each other",
		"":                             "which verb? see sailor --help",
		"help sail A":                  `help takes one verb, not "A" too: see sailor --help`,
		"sail --help --speed":          "--speed needs a value: see sailor sail --help",
		"swim A":                       `verb "swim" does not exist: a ship has no arms; fix: sailor sail FROM`,
		"help moor":                    `verb "moor" does not exist; fix: sailor anchor`,
		"anchor map.toml":              `sailor anchor takes no argument "map.toml"; fix: sailor anchor --config map.toml`,
		"anchor /maps/west":            `sailor anchor takes no argument "/maps/west"; fix: sailor anchor --config /maps/west`,
		"anchor my;map.toml":           `sailor anchor takes no argument "my;map.toml": see sailor anchor --help`,
		"anchor -":                     `sailor anchor takes no argument "-"; fix: sailor anchor --config -`,
		"map.toml":                     `"map.toml" is not a verb; fix: sailor VERB --config map.toml`,
		"-c map.toml anchor":           `sailor has no flag "-c"; fix: --config FILE`,
		"--file=map.toml anchor":       `sailor anchor has no flag "--file"; fix: --config FILE`,
		"anchor -c map.toml":           `sailor anchor has no flag "-c"; fix: --config FILE`,
		"anchor -n":                    `sailor anchor has no flag "-n": see sailor anchor --help`,
		"anchor -?":                    `sailor anchor has no flag "-?"; fix: --help`,
		"anchor -s":                    `sailor anchor has no flag "-s": see sailor anchor --help`,
		"-V":                           `verb "version" does not exist: see sailor --help`,
		"-q --version":                 `verb "version" does not exist: see sailor --help`,
		"--loud":                       `sailor has no flag "--loud": see sailor --help`,
		"sail A --speed 4 --speed 5 B": "sail A,B speed=5 quiet=false",
	} {
		var said bytes.Buffer
		help, err := sailor(&said).Run(t.Context(), strings.Fields(typed))
		if err != nil {
			said.WriteString(err.Error())
		}
		if said.String() != want || help != "" {
			t.Errorf("sailor %s: %q, not %q", typed, said.String()+help, want)
		}
		if code, found := cmdline.CodeOf(err); err != nil && !strings.Contains(want, "refused") && (!found || code != cmdline.ExitUsage) {
			t.Errorf("sailor %s: the exit code is %d", typed, code)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	flags := "  --speed KNOTS  sail at so many KNOTS\n  --quiet, -q    say nothing\n  --config FILE  read FILE\n  --help, -h     print this help\n"
	program := "sailor: sails\n\nUsage: sailor VERB [flags]\n\nA ship.\n\nVerbs:\n  sail    sails there\n  anchor  stays\n\n" +
		"Flags of every verb, before it or behind it:\n" + flags + "\nExit codes:\n  0  there\n  2  wrong usage\n\nMore on a verb: sailor VERB --help\n"
	const common = "\nFlags of every verb, which sailor --help explains:\n  --speed KNOTS, --quiet or -q, --config FILE, --help or -h\n"
	sail := "sailor sail: sails there\n\nUsage: sailor sail FROM [TO] [flags]\n\nExample:\n  sailor sail A B\n\nFlags:\n  --far  goes far\n" + common
	anchor := "sailor anchor: stays\n\nUsage: sailor anchor [flags]\n\nExample:\n  sailor anchor\n" + common
	for typed, want := range map[string]string{
		"--help": program, "-h": program, "help": program, "help help": program, "-q --help": program,
		"sail --help": sail, "help sail": sail, "anchor --help": anchor, "-h sail A B": sail,
	} {
		var said bytes.Buffer
		help, err := sailor(&said).Run(t.Context(), strings.Fields(typed))
		if err != nil || help != want || said.Len() != 0 {
			t.Errorf("sailor %s: %v %s\n%s\nnot\n%s", typed, err, said.String(), help, want)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	inner := errors.New("no wind")
	if err := cmdline.Coded(7, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	for _, err := range []error{cmdline.Coded(7, inner), fmt.Errorf("cannot sail: %w", cmdline.Coded(7, inner))} {
		if code, found := cmdline.CodeOf(err); !found || code != 7 || !errors.Is(err, inner) {
			t.Errorf("%v: exit code %d", err, code)
		}
	}
	if err := cmdline.ExitSilently(3); !errors.Is(err, cmdline.ErrSilent) {
		t.Errorf("%v is not silent", err)
	}
}

// TestGiven finds a flag where it is one.
func TestGiven(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]bool{"": false, "diff --json": true, "-json diff": true, "--json=true": true, "--json=false": false, "--jsonx": false, "edit -- --json": false} {
		if cmdline.Given(strings.Fields(args), "json") != want {
			t.Errorf("%q", args)
		}
	}
}
