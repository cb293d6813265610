package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/console"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// typed is what arguments lead to.
type typed struct {
	verb string
	common
	print   console.Flags
	options any // of the verb
}

// parse returns what arguments lead to. Nothing is done.
func parse(args ...string) (got typed, err error) {
	s := &session{}
	program := s.program()
	for _, command := range program.Verbs {
		command.Action = func(c *cli.Context) (err error) {
			got.verb, got.common, got.print = c.Command.Name, s.common, s.Flags
			got.options, err = readers()[got.verb](c)
			return err
		}
	}
	_, err = program.Run(context.Background(), args)
	return got, err
}

// readers returns what reads the flags of each verb.
func readers() map[string]func(*cli.Context) (any, error) {
	none := reader(cmdline.ReadNone)
	return map[string]func(*cli.Context) (any, error){
		"init": reader(readInit), "edit": reader(readEdit), "check": none, "render": reader(readRender), "diff": reader(readDiff), "apply": reader(readApply),
		"confirm": none, "drain": reader(readDrain), "undrain": reader(readUndrain), "history": none, "rollback": reader(readRollback), "restore": none,
		"status": reader(readStatus), "doctor": none, "health": reader(readHealth), "stop": none, "install": reader(readInstall), "uninstall": none, "version": none,
		"completion": reader(readCompletion), "man": reader(readMan), "adopt": reader(readAdopt), "selftest": reader(readService),
	}
}

// reader forgets the type of a verb's flags.
func reader[O any](read func(*cli.Context) (O, error)) func(*cli.Context) (any, error) {
	return func(c *cli.Context) (any, error) { return read(c) }
}

// flagCases are ways to give each common flag, and what comes of it.
var flagCases = map[string][]struct {
	args []string
	set  func(*typed)
}{
	"config": {
		{[]string{"--config", "web.toml"}, func(o *typed) { o.config = "web.toml" }},
		{[]string{"--config=web.toml"}, func(o *typed) { o.config = "web.toml" }},
		{[]string{"-config", "-"}, func(o *typed) { o.config = "-" }},
		{[]string{"--config", "--json"}, func(o *typed) { o.config = "--json" }},
		{[]string{"--config", "apply"}, func(o *typed) { o.config = "apply" }},
		{[]string{"--config", "a=b"}, func(o *typed) { o.config = "a=b" }},
	},
	"root": {
		{[]string{"--root", "/etc"}, func(o *typed) { o.root = "/etc"; o.config = "/etc/" + paths.Config }},
		{[]string{"--root=/etc/"}, func(o *typed) { o.root = "/etc"; o.config = "/etc/" + paths.Config }},
	},
	"live": {
		{[]string{"--live"}, func(o *typed) { o.live = true }},
	},
	"variant": {
		{[]string{"--variant", "legacy"}, func(o *typed) { o.variant = "legacy" }},
		{[]string{"--variant=nft"}, func(o *typed) { o.variant = "nft" }},
	},
	"json": {
		{[]string{"--json"}, func(o *typed) { o.print.JSON = true }},
		{[]string{"--json=false"}, func(*typed) {}},
	},
	"quiet": {
		{[]string{"-q"}, func(o *typed) { o.print.Quiet = true }},
		{[]string{"--quiet"}, func(o *typed) { o.print.Quiet = true }},
		{[]string{"-quiet=true"}, func(o *typed) { o.print.Quiet = true }},
		{[]string{"-q", "--quiet"}, func(o *typed) { o.print.Quiet = true }},
	},
	"verbose": {
		{[]string{"-v"}, func(o *typed) { o.print.Verbose = true }},
		{[]string{"--verbose"}, func(o *typed) { o.print.Verbose = true }},
	},
	"color": {
		{[]string{"--color", "always"}, func(o *typed) { o.print.Color = "always" }},
		{[]string{"--color=never"}, func(o *typed) { o.print.Color = "never" }},
	},
}

// Every common flag must mean the same before every verb, behind it, and on both
// sides of it beside another one.
func TestCommonFlagsAnywhere(t *testing.T) {
	t.Parallel()
	for _, command := range (&session{}).program().Verbs {
		typed := withArguments(command)
		plain, err := parse(typed...)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range commonFlags() {
			cases := flagCases[flag.Names()[0]]
			if len(cases) == 0 {
				t.Errorf("no case for the flag %s", flag.Names()[0])
			}
			for _, c := range cases {
				if (strings.HasSuffix(command.Name, "drain") || command.Name == "edit") && c.args[len(c.args)-1] == "-" { // they refuse, and the scripts say so
					continue
				}
				want := plain
				c.set(&want)
				wantParsed(t, want, slices.Concat(c.args, typed))
				wantParsed(t, want, slices.Concat(typed, c.args))
				wantParsed(t, want, slices.Concat(typed, c.args, []string{"--"}))
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
func wantBeside(t *testing.T, plain typed, args []string, set func(*typed), other, verb []string) {
	t.Helper()
	want := plain
	if other[0] == "-v" {
		want.print.Verbose = true
	} else {
		want.print.Color = other[1]
	}
	set(&want)
	for _, args := range [][]string{
		slices.Concat(other, args, verb), slices.Concat(other, verb, args), slices.Concat(verb, other, args),
	} {
		wantParsed(t, want, args)
	}
}

// wantParsed fails unless arguments lead to that verb with those flags.
func wantParsed(t *testing.T, want typed, args []string) {
	t.Helper()
	got, err := parse(args...)
	if err != nil {
		t.Errorf("natspread %s: %v", strings.Join(args, " "), err)
		return
	}
	everything := cmp.Exporter(func(reflect.Type) bool { return true })
	if diff := cmp.Diff(want, got, everything); diff != "" {
		t.Errorf("natspread %s: want -, got +:\n%s", strings.Join(args, " "), diff)
	}
}

// The flags of one verb may stand before it, too, and the last of a doubled flag
// counts.
func TestVerbFlagsAnywhere(t *testing.T) {
	t.Parallel()
	plain, err := parse("version")
	if err != nil {
		t.Fatal(err)
	}
	inits := typed{"init", plain.common, plain.print, initOptions{listen: []string{"a", "b"}, backends: []string{"c"}, snat: "none"}}
	renders := typed{"render", plain.common, plain.print, renderOptions{family: rules.IPv6, families: []rules.Family{rules.IPv6}, outDir: "out"}}
	applies := typed{"apply", plain.common, plain.print, applyOptions{dryRun: true}}
	applies.config = "b"
	for args, want := range map[string]typed{
		"init --listen a --listen b --backend c --snat none":                inits,
		"--listen a --listen b --backend c --snat none init":                inits,
		"--listen a init --backend=c --snat address --listen=b --snat none": inits,
		"-o out -6 render":                      renders,
		"--dry-run apply --config a --config b": applies,
	} {
		wantParsed(t, want, strings.Fields(args))
	}
}

// What a flag before the verb is taken for must hold for all verbs at once: one name, one
// meaning.
func TestFlagsMeanOneThing(t *testing.T) {
	t.Parallel()
	takes := map[string]bool{}
	for _, command := range (&session{}).program().Verbs {
		for _, flag := range cmdline.Described(slices.Concat(command.Flags, commonFlags())) {
			for _, name := range flag.Names {
				if before, found := takes[name]; found && before != (flag.Value != "") {
					t.Errorf("%s takes a value in one verb and none in another", name)
				}
				takes[name] = flag.Value != ""
				if name == "-h" || name == "--help" {
					t.Errorf("%s has a flag of its own called %s", command.Name, name)
				}
			}
		}
		if command.Name == "help" {
			t.Error("a verb called help cannot be reached")
		}
	}
}
