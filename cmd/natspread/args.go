package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/suggest"
	"natspread/internal/text"
)

// commandLine is what was typed, taken apart.
type commandLine struct {
	verb  *cli.Command // nil when only help is asked for
	help  bool
	flags []string // of the verb, each under its first name, with its value
	args  []string // of the verb, in order
}

// typed returns what the library is to parse: flags, and behind "--" arguments.
func (l commandLine) typed() []string {
	return slices.Concat([]string{l.verb.Name}, l.flags, []string{"--"}, l.args)
}

// parseArgs takes arguments apart, in whatever order they are. Left to itself the
// flag parser stops at the first argument and silently drops every flag behind
// it, takes no flag of a verb before the verb, takes "--" for the value that a
// last flag lacks, and refuses a flag that is given under both of its names.
func parseArgs(commands []*cli.Command, args []string) (commandLine, error) {
	if slices.Equal(args, []string{"--version"}) {
		args = []string{"version"}
	}
	at := 0
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		at = verbAt(everyFlag(commands), args)
	}
	if at < 0 || args[at] == "help" {
		return parseHelp(commands, args, at)
	}
	verb, err := findVerb(commands, args[at])
	if err != nil {
		return commandLine{}, err
	}
	others := slices.Concat(args[:at], args[at+1:])
	line, rest, err := splitFlags("natspread "+verb.Name, flagsOf(verb.Flags), others)
	if err != nil {
		return commandLine{}, err
	}
	line.verb, line.args = verb, rest
	return line, line.checkArguments()
}

// checkArguments refuses more arguments than the verb's usage names, and fewer than
// those of them that stand there without brackets.
func (l commandLine) checkArguments() error {
	least, most := 0, 0
	for name := range strings.FieldsSeq(l.verb.ArgsUsage) {
		most++
		if !strings.HasPrefix(name, "[") {
			least++
		}
	}
	switch {
	case len(l.args) < least && !l.help:
		return usageErrorf("natspread %s needs %s: see natspread %s --help", l.verb.Name, l.verb.ArgsUsage, l.verb.Name)
	case len(l.args) <= most:
		return nil
	case most == 0:
		return usageErrorf("natspread %s takes no argument %q: see natspread %s --help", l.verb.Name, l.args[0], l.verb.Name)
	}
	return usageErrorf("natspread %s takes %s, not %q too: see natspread %s --help", l.verb.Name, text.Plural(most, "argument"), l.args[most], l.verb.Name)
}

// parseHelp is parseArgs for "natspread help [VERB]" and for no verb at all.
func parseHelp(commands []*cli.Command, args []string, at int) (commandLine, error) {
	line, words, err := splitFlags("natspread", flagsOf(commonFlags()), args)
	switch {
	case err != nil:
		return commandLine{}, err
	case at < 0 && !line.help:
		return commandLine{}, usageErrorf("which verb? see natspread --help")
	case at < 0, len(words) == 1, len(words) == 2 && words[1] == "help":
		return commandLine{help: true}, nil
	case len(words) > 2:
		return commandLine{}, usageErrorf("help takes one verb, not %q too: see natspread --help", words[2])
	}
	verb, err := findVerb(commands, words[1])
	return commandLine{verb: verb, help: true}, err
}

// knownFlag is a flag by one of its names.
type knownFlag struct {
	name       string // its first name, with dashes
	takesValue bool
}

// flagsOf maps the names of flags, with their dashes, to the flags.
func flagsOf(flags []cli.Flag) map[string]knownFlag {
	known := map[string]knownFlag{}
	for _, flag := range flags {
		_, boolean := flag.(*cli.BoolFlag)
		names := flag.Names()
		found := knownFlag{name: "--" + names[0], takesValue: !boolean}
		for _, name := range names {
			known["-"+name], known["--"+name] = found, found
		}
	}
	return known
}

// everyFlag maps the flags of all verbs; none means two things in two verbs.
func everyFlag(commands []*cli.Command) map[string]knownFlag {
	var flags []cli.Flag
	for _, command := range commands {
		flags = append(flags, command.Flags...)
	}
	return flagsOf(flags)
}

// verbAt returns the place of the first argument that is neither a flag nor the
// value of one, -1 when there is none.
func verbAt(known map[string]knownFlag, args []string) int {
	for i := 0; i < len(args); i++ {
		switch {
		case known[args[i]].takesValue:
			i++
		case !strings.HasPrefix(args[i], "-"):
			return i
		}
	}
	return -1
}

// splitFlags parts flags, with their values, from other arguments. Behind "--"
// nothing is a flag. whose is what has those flags, for words.
func splitFlags(whose string, known map[string]knownFlag, args []string) (line commandLine, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, hasValue := strings.Cut(arg, "=")
		flag, found := known[name]
		switch {
		case arg == "--":
			return line, append(rest, args[i+1:]...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		case arg == "-h" || arg == "--help" || arg == "-help":
			line.help = true
		case !found:
			return line, nil, unknownFlag(whose, name, known)
		case flag.takesValue && !hasValue && i+1 == len(args):
			return line, nil, usageErrorf("%s needs a value: see %s --help", name, whose)
		case flag.takesValue && !hasValue:
			i++
			line.flags = append(line.flags, flag.name+"="+args[i])
		case hasValue:
			line.flags = append(line.flags, flag.name+"="+value)
		default:
			line.flags = append(line.flags, flag.name)
		}
	}
	return line, rest, nil
}

// unknownFlag is the error for a flag that there is not, with the nearest one.
func unknownFlag(whose, name string, known map[string]knownFlag) error {
	var names []string
	for _, flag := range known {
		names = append(names, flag.name)
	}
	slices.Sort(names) // a map's order is another one in each run
	if meant := suggest.Word(name, names); meant != "" {
		return usageErrorf("%s has no flag %q: did you mean %s?", whose, name, meant)
	}
	return usageErrorf("%s has no flag %q: see %s --help", whose, name, whose)
}

// findVerb returns the verb of that name, or an error with the nearest one.
func findVerb(commands []*cli.Command, name string) (*cli.Command, error) {
	names := []string{"help"}
	for _, command := range commands {
		if command.Name == name {
			return command, nil
		}
		names = append(names, command.Name)
	}
	if meant := suggest.Word(name, names); meant != "" {
		return nil, usageErrorf("verb %q does not exist: did you mean %s?", name, meant)
	}
	return nil, usageErrorf("verb %q does not exist: see natspread --help", name)
}
