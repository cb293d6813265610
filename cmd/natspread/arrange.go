package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/near"
)

// arrange puts arguments into the one order that the flag parser reads whole:
// verb, flags, "--", the rest. Left to itself the parser stops at the first
// argument and silently drops every flag behind it, and it takes no flag of a
// verb before the verb.
func arrange(commands []*cli.Command, args []string) ([]string, error) {
	common := takesValue(commonFlags())
	at := verbAt(common, args)
	if at < 0 || args[at] == "help" {
		return args, helpTopic(commands, args, at)
	}
	command, err := findVerb(commands, args[at])
	if err != nil {
		return nil, err
	}
	before, rest := splitFlags(common, args[:at])
	if len(rest) > 0 {
		return nil, usageErrorf("what is %q before the verb?", rest[0])
	}
	after, rest := splitFlags(takesValue(command.Flags), args[at+1:])
	arranged := append([]string{command.Name}, before...)
	arranged = append(append(arranged, after...), "--")
	return append(arranged, rest...), nil
}

// takesValue maps the names of flags, with their dashes, to whether a value
// follows them.
func takesValue(flags []cli.Flag) map[string]bool {
	takes := map[string]bool{}
	for _, flag := range flags {
		_, boolean := flag.(*cli.BoolFlag)
		for _, name := range flag.Names() {
			takes["-"+name], takes["--"+name] = !boolean, !boolean
		}
	}
	return takes
}

// verbAt returns the place of the first argument that is neither a flag nor the
// value of one, -1 when there is none.
func verbAt(takes map[string]bool, args []string) int {
	for i := 0; i < len(args); i++ {
		switch {
		case takes[args[i]]:
			i++
		case !strings.HasPrefix(args[i], "-"):
			return i
		}
	}
	return -1
}

// splitFlags parts flags, with their values, from other arguments. Behind "--"
// nothing is a flag.
func splitFlags(takes map[string]bool, args []string) (flags, rest []string) {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			return flags, append(rest, args[i+1:]...)
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		case takes[arg] && i+1 < len(args):
			flags = append(flags, arg, args[i+1])
			i++
		default:
			flags = append(flags, arg)
		}
	}
	return flags, rest
}

// findVerb returns the verb of that name, or an error with the nearest one.
func findVerb(commands []*cli.Command, name string) (*cli.Command, error) {
	names := make([]string, len(commands))
	for i, command := range commands {
		if names[i] = command.Name; names[i] == name {
			return command, nil
		}
	}
	if meant := near.Word(name, names); meant != "" {
		return nil, usageErrorf("there is no verb %q: did you mean %s?", name, meant)
	}
	return nil, usageErrorf("there is no verb %q: see natspread --help", name)
}

// helpTopic checks what "natspread help TOPIC" asks for; the library exits 3 on a
// topic that it does not know.
func helpTopic(commands []*cli.Command, args []string, at int) error {
	if at < 0 || at+1 >= len(args) || slices.Contains([]string{"-h", "--help"}, args[at+1]) {
		return nil
	}
	_, err := findVerb(commands, args[at+1])
	return err
}
