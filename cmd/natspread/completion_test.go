package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"natspread/docs/man"
	"natspread/internal/cmdline"
	"natspread/internal/completion"
)

// completionDir holds the completions as they are shipped.
const completionDir = "../../internal/completion/scripts"

// commandTree returns what can be typed, as the completions know it.
func commandTree(t *testing.T) completion.Tree {
	t.Helper()
	tree := completion.Tree{Flags: shellFlags(t, commonFlags())}
	tree.Flags = append(tree.Flags, completion.Flag{Names: []string{"--help", "-h"}, Words: "print the help"})
	for _, command := range (&session{}).program().Verbs {
		verb := completion.Verb{Name: command.Name, Does: command.Usage, Flags: shellFlags(t, command.Flags)}
		verb.Words, verb.Names = shellArguments(t, command.ArgsUsage)
		tree.Verbs = append(tree.Verbs, verb)
	}
	help := completion.Verb{Name: "help", Does: "print the help, or that of a verb", Verbs: true}
	tree.Verbs = append(tree.Verbs, help)
	return tree
}

// shellArguments returns the words that a verb takes as its argument, and the kinds of names.
func shellArguments(t *testing.T, usage string) (words, names []string) {
	t.Helper()
	for argument := range strings.FieldsSeq(usage) {
		switch strings.Trim(argument, "[]") {
		case "SERVICE":
			names = append(names, "services")
		case "FILE":
			names = append(names, "files")
		case "BACKEND":
			names = append(names, "backends")
		case "N":
			names = append(names, "generations")
		case "SHELL|NAMES":
			words = append(words, "bash", "zsh", "fish")
		case "PAGE":
			words = append(words, man.Pages()...)
		case "M", "NAMES", "SAVED":
		default:
			t.Fatalf("what completes an argument %s?", argument)
		}
	}
	return words, names
}

// shellFlags describes flags.
func shellFlags(t *testing.T, flags []cli.Flag) []completion.Flag {
	t.Helper()
	var described []completion.Flag
	for _, flag := range cmdline.Described(flags) {
		shell := completion.Flag{Names: flag.Names, Words: flag.Words}
		if flag.Value != "" {
			shell.Value = shellValue(t, flag.Value)
		}
		described = append(described, shell)
	}
	return described
}

// shellValue tells from the name that a value has in the help what it can be.
func shellValue(t *testing.T, name string) completion.Value {
	t.Helper()
	switch name {
	case "FILE":
		return completion.Value{Kind: completion.File}
	case "DIR":
		return completion.Value{Kind: completion.Directory}
	case "VARIANT":
		return completion.Value{Kind: completion.Word, Words: []string{"auto", "nft", "legacy"}}
	case "WHEN":
		return completion.Value{Kind: completion.Word, Words: []string{"auto", "always", "never"}}
	case "SHARES":
		return completion.Value{Kind: completion.Word, Words: []string{"meant", "made", "kept"}}
	case "SNAT":
		return completion.Value{Kind: completion.Free, Words: []string{"masquerade", "none"}}
	case "DURATION":
		return completion.Value{Kind: completion.Free, Words: []string{"60s", "5m"}}
	case "ADDRESS", "ADDRESS:PORT", "INTERFACE", "SOURCE", "NAME":
		return completion.Value{Kind: completion.Free}
	}
	t.Fatalf("what completes a %s?", name)
	return completion.Value{}
}

// TestCompletions holds the shipped files against the command tree; with -update it
// writes them.
func TestCompletions(t *testing.T) {
	for name, write := range map[string]func(completion.Tree) string{
		"natspread.bash": completion.Bash,
		"natspread.zsh":  completion.Zsh,
		"natspread.fish": completion.Fish,
	} {
		path, text := filepath.Join(completionDir, name), write(commandTree(t))
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		shipped, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(shipped), text); diff != "" {
			t.Errorf("%s is not that of the command tree: make completions\n%s", name, diff)
		}
	}
}

// TestCompletionWords gives the program each word that completes a value, and one
// that does not: what a shell offers is what the program takes.
func TestCompletionWords(t *testing.T) {
	for flag, verb := range map[string]string{"--variant": "version", "--color": "version", "--snat": "init"} {
		var words []string
		for _, known := range slices.Concat(commandTree(t).Flags, commandTree(t).Verbs[0].Flags) {
			if known.Names[0] == flag {
				words = known.Value.Words
			}
		}
		if len(words) == 0 {
			t.Errorf("no word completes %s", flag)
		}
		for _, word := range append(words, "sideways") {
			args := []string{verb, flag, word, "--config", "-"}
			if verb == "init" {
				args = append(args, "--listen", "192.0.2.10:80", "--backend", "10.0.0.1:80")
			}
			out, err := natspreadCommand(t, "natspread", args...).CombinedOutput()
			if (err == nil) != (word != "sideways") {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		}
	}
}

// TestCompletionDurations does so for the words of a verb that would change the machine.
func TestCompletionDurations(t *testing.T) {
	for _, word := range shellValue(t, "DURATION").Words {
		if got, err := parse("apply", "--confirm", word); err != nil || got.options.(applyOptions).confirm == 0 {
			t.Errorf("%s: %+v, %v", word, got.options, err)
		}
	}
}

// completionCase is something typed, and all that a shell is to offer for its last
// word. A name of several words is offered under each.
type completionCase struct {
	typed string
	want  []string
}

// completionCases covers each verb and each flag of the command tree, in a directory
// that holds the directory "sub" and the file "web.toml".
func completionCases(t *testing.T) []completionCase {
	t.Helper()
	tree := commandTree(t)
	verbs := func(pick func(completion.Verb) bool) (names []string) {
		for _, verb := range tree.Verbs {
			if pick(verb) {
				names = append(names, verb.Name)
			}
		}
		return names
	}
	names := func(flags []completion.Flag) (names []string) {
		for _, flag := range flags {
			names = append(names, flag.Names...)
		}
		return names
	}
	every := verbs(func(completion.Verb) bool { return true })
	cases := []completionCase{
		{"", every},
		{"--json --root=sub -q ", every},
		{"--root sub --config web.toml ", every},
		{"un", []string{"undrain", "uninstall"}},
		{"-", names(tree.Flags)},
		{"help ", verbs(func(verb completion.Verb) bool { return !verb.Verbs })},
		{"help unin", []string{"uninstall"}},
		{"sideways --dry", nil},
		{"init --listen 192.0.2.10:80 --sn", []string{"--snat"}},
		{"rollback 3 -", append(names(tree.Flags), "--overdue", "--yes", "--config-too")},
		{"diff 3 4 --sa", []string{"--saved"}},
		{"status ", []string{"mail", "web"}},
		{"status we", []string{"web"}},
		{"drain web 10.0.0.", []string{"10.0.0.1:80", "10.0.0.2:80"}},
		{"undrain 10.0.0.2:", []string{"10.0.0.2:80"}},
		{"drain [fd00::1]:", []string{"[fd00::1]:25"}},
		{"rollback ", []string{"1"}},
		{"diff ", []string{"1"}},
		{"edit ", []string{"natspread.toml", "conf.d/pools.toml"}},
		{"edit conf", []string{"conf.d/pools.toml"}},
		{"man ", man.Pages()},
		{"completion ", []string{"bash", "zsh", "fish"}},
	}
	for _, verb := range tree.Verbs {
		flags := slices.Concat(tree.Flags, verb.Flags)
		cases = append(cases, completionCase{verb.Name + " -", names(flags)})
		for _, flag := range flags {
			cases = append(cases, valueCases(verb.Name, flag)...)
		}
	}
	return cases
}

// valueCases covers the value of a flag, behind a space and behind an "=".
func valueCases(verb string, flag completion.Flag) []completionCase {
	if flag.Value.Kind == completion.None || verb == "help" {
		return nil
	}
	want := flag.Value.Words
	switch flag.Value.Kind {
	case completion.File:
		want = []string{"sub", "web.toml"}
	case completion.Directory:
		want = []string{"sub"}
	}
	cases := []completionCase{{verb + " " + flag.Names[0] + " ", want}}
	if strings.HasPrefix(flag.Names[0], "--") {
		cases = append(cases, completionCase{verb + " " + flag.Names[0] + "=", want})
	}
	return cases
}

// completionRoot returns a root with a config of two services, and one generation.
func completionRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "etc/natspread")
	if err := os.MkdirAll(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "conf.d/pools.toml"), "# none yet\n")
	const text = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name = "mail"
listen = "[2001:db8::10]:25"
backends = ["[fd00::1]:25"]
`
	if err := os.WriteFile(filepath.Join(dir, "natspread.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := natspreadCommand(t, "natspread", "install", "--root", root, "--offline").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// checkCompletions asks a shell what it offers in each case; offered gets what was
// typed, all cases at once, and returns a list for each.
func checkCompletions(t *testing.T, offered func(dir string, typed []string) [][]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "web.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(commonFlagsName, "--root "+completionRoot(t))
	cases := completionCases(t)
	var typed []string
	for _, c := range cases {
		typed = append(typed, "natspread "+c.typed)
	}
	got := offered(dir, typed)
	if len(got) != len(cases) {
		t.Fatalf("%d answers to %d questions", len(got), len(cases))
	}
	for i, c := range cases {
		answer, want := slices.Clone(got[i]), slices.Clone(c.want)
		for i, word := range answer { // fish offers the whole of --root=sub/, the others what is behind; zsh quotes brackets
			word = strings.ReplaceAll(word, `\`, "")
			_, value, found := strings.Cut(word, "=")
			if !found {
				value = word
			}
			answer[i] = strings.TrimSuffix(value, "/")
		}
		slices.Sort(answer)
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Compact(answer)); diff != "" {
			t.Errorf("natspread %s: -want +offered\n%s", c.typed, diff)
		}
	}
}
