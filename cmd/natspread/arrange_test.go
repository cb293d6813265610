package main

import (
	"slices"
	"strings"
	"testing"

	"natspread/internal/paths"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// parse returns the verb and the options that arguments lead to. Nothing is done.
func parse(args ...string) (verb string, chosen options, err error) {
	app := (&session{}).app()
	for _, command := range app.Commands {
		command.Action = func(c *cli.Context) error {
			verb = c.Command.Name
			chosen, err = optionsOf(c)
			return err
		}
	}
	line, err := arrange(app.Commands, args)
	if err != nil {
		return "", options{}, err
	}
	err = app.Run(append([]string{app.Name}, line.typed()...))
	return verb, chosen, err
}

// flagCases are ways to give each common flag, and what it does to the options.
var flagCases = map[string][]struct {
	args []string
	set  func(*options)
}{
	"config": {
		{[]string{"--config", "web.toml"}, func(o *options) { o.config = "web.toml" }},
		{[]string{"--config=web.toml"}, func(o *options) { o.config = "web.toml" }},
		{[]string{"-config", "-"}, func(o *options) { o.config = "-" }},
		{[]string{"--config", "--json"}, func(o *options) { o.config = "--json" }},
		{[]string{"--config", "apply"}, func(o *options) { o.config = "apply" }},
		{[]string{"--config", "a=b"}, func(o *options) { o.config = "a=b" }},
	},
	"root": {
		{[]string{"--root", "/etc"}, func(o *options) { o.root = "/etc"; o.config = "/etc/" + paths.Config }},
		{[]string{"--root=/etc/"}, func(o *options) { o.root = "/etc"; o.config = "/etc/" + paths.Config }},
	},
	"variant": {
		{[]string{"--variant", "legacy"}, func(o *options) { o.variant = "legacy" }},
		{[]string{"--variant=nft"}, func(o *options) { o.variant = "nft" }},
	},
	"json": {
		{[]string{"--json"}, func(o *options) { o.json = true }},
		{[]string{"--json=false"}, func(*options) {}},
	},
	"quiet": {
		{[]string{"-q"}, func(o *options) { o.quiet = true }},
		{[]string{"--quiet"}, func(o *options) { o.quiet = true }},
		{[]string{"-quiet=true"}, func(o *options) { o.quiet = true }},
		{[]string{"-q", "--quiet"}, func(o *options) { o.quiet = true }},
	},
	"verbose": {
		{[]string{"-v"}, func(o *options) { o.verbose = true }},
		{[]string{"--verbose"}, func(o *options) { o.verbose = true }},
	},
	"color": {
		{[]string{"--color", "always"}, func(o *options) { o.color = "always" }},
		{[]string{"--color=never"}, func(o *options) { o.color = "never" }},
	},
}

// Every common flag must mean the same before every verb, behind it, and on both
// sides of it beside another one.
func TestCommonFlagsAnywhere(t *testing.T) {
	t.Parallel()
	for _, command := range (&session{}).app().Commands {
		typed := withArguments(command)
		_, plain, err := parse(typed...)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range commonFlags() {
			cases := flagCases[flag.Names()[0]]
			if len(cases) == 0 {
				t.Errorf("no case for the flag %s", flag.Names()[0])
			}
			for _, c := range cases {
				want := plain
				c.set(&want)
				wantParsed(t, want, slices.Concat(c.args, typed), command.Name)
				wantParsed(t, want, slices.Concat(typed, c.args), command.Name)
				wantParsed(t, want, slices.Concat(typed, c.args, []string{"--"}), command.Name)
				for _, other := range [][]string{{"-v"}, {"--color", "never"}} {
					wantBeside(t, plain, c.args, c.set, other, typed)
				}
			}
		}
	}
}

// withArguments returns a verb as it is typed, with the arguments that it needs.
func withArguments(command *cli.Command) []string {
	typed := []string{command.Name}
	for name := range strings.FieldsSeq(command.ArgsUsage) {
		if !strings.HasPrefix(name, "[") {
			typed = append(typed, name)
		}
	}
	return typed
}

// wantBeside tries two flags in each order and on each side of a verb.
func wantBeside(t *testing.T, plain options, args []string, set func(*options), other, typed []string) {
	t.Helper()
	want := plain
	if other[0] == "-v" {
		want.verbose = true
	} else {
		want.color = other[1]
	}
	set(&want)
	for _, args := range [][]string{
		slices.Concat(other, args, typed), slices.Concat(other, typed, args), slices.Concat(typed, other, args),
	} {
		wantParsed(t, want, args, typed[0])
	}
}

// wantParsed fails unless arguments lead to that verb with those options.
func wantParsed(t *testing.T, want options, args []string, verb string) {
	t.Helper()
	name, got, err := parse(args...)
	if err != nil || name != verb {
		t.Errorf("natspread %s: verb %q, error %v", strings.Join(args, " "), name, err)
		return
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" {
		t.Errorf("natspread %s: want -, got +:\n%s", strings.Join(args, " "), diff)
	}
}

// The flags of one verb may stand before it, too, and the last of a doubled flag
// counts.
func TestVerbFlagsAnywhere(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"init --listen a --listen b --backend c --snat none",
		"--listen a --listen b --backend c --snat none init",
		"--listen a init --backend=c --snat address --listen=b --snat none",
	} {
		_, got, err := parse(strings.Fields(args)...)
		if err != nil || !slices.Equal(got.listen, []string{"a", "b"}) || !slices.Equal(got.backends, []string{"c"}) || got.snat != "none" {
			t.Errorf("natspread %s: %+v, %v", args, got, err)
		}
	}
	if _, got, err := parse("-o", "out", "-6", "render"); err != nil || got.outDir != "out" || !got.family6 {
		t.Errorf("natspread -o out -6 render: %+v, %v", got, err)
	}
	if _, got, err := parse("--dry-run", "apply", "--config", "a", "--config", "b"); err != nil || !got.dryRun || got.config != "b" {
		t.Errorf("natspread --dry-run apply: %+v, %v", got, err)
	}
}

// What verbAt and splitFlags take flags for must hold for all verbs at once: one
// name, one meaning.
func TestFlagsMeanOneThing(t *testing.T) {
	t.Parallel()
	takes := map[string]bool{}
	for _, command := range (&session{}).app().Commands {
		for name, flag := range flagsOf(command.Flags) {
			if before, found := takes[name]; found && before != flag.takesValue {
				t.Errorf("%s takes a value in one verb and none in another", name)
			}
			takes[name] = flag.takesValue
			if name == "-h" || name == "--help" {
				t.Errorf("%s has a flag of its own called %s", command.Name, name)
			}
		}
		if command.Name == "help" {
			t.Error("a verb called help cannot be reached")
		}
	}
}
