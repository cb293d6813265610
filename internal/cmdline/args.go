package cmdline

import (
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/suggest"
	"natspread/internal/text"
)

// line is what was typed, taken apart.
type line struct {
	verb  *cli.Command // nil when only help is asked for
	help  bool
	flags []string // of the verb, each under its first name, with its value
	args  []string // of the verb, in order
}

// words returns what the library is to parse: flags, and behind "--" arguments.
func (l line) words() []string {
	return slices.Concat([]string{l.verb.Name}, l.flags, []string{"--"}, l.args)
}

// parse takes arguments apart, in whatever order they are. Left to itself the
// flag parser stops at the first argument and silently drops every flag behind
// it, takes no flag of a verb before the verb, takes "--" for the value that a
// last flag lacks, and refuses a flag that is given under both of its names.
func (p Program) parse(args []string) (line, error) {
	at := 0
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		at = verbAt(p.everyFlag(), args)
	}
	if flag := slices.IndexFunc(args, asksVersion); at < 0 && flag >= 0 {
		args = slices.Concat(args[:flag], []string{"version"}, args[flag+1:])
		at = flag
	}
	if at < 0 || args[at] == "help" {
		return p.parseHelp(args, at)
	}
	verb, err := p.findVerb(args[at])
	if err != nil {
		if _, _, unknown := p.splitFlags(p.Name, p.everyFlag(), args[:at]); unknown != nil {
			err = unknown // whose value was taken for the verb
		}
		return line{}, err
	}
	others := slices.Concat(args[:at], args[at+1:])
	typed, rest, err := p.splitFlags(p.Name+" "+verb.Name, flagsOf(p.flags(verb)), others)
	if err != nil {
		return line{}, err
	}
	typed.verb, typed.args = verb, rest
	return typed, p.checkArguments(typed)
}

// asksVersion tells whether an argument asks for the version as other programs have it.
func asksVersion(arg string) bool {
	return slices.Contains([]string{"--version", "-version", "-V"}, arg)
}

// checkArguments refuses more arguments than the verb's usage names, and fewer than
// those of them that stand there without brackets.
func (p Program) checkArguments(typed line) error {
	least, most := 0, 0
	for name := range strings.FieldsSeq(typed.verb.ArgsUsage) {
		most++
		if !strings.HasPrefix(name, "[") {
			least++
		}
	}
	verb := p.Name + " " + typed.verb.Name
	switch {
	case len(typed.args) < least && !typed.help:
		return UsageErrorf("%s needs %s: see %s --help", verb, typed.verb.ArgsUsage, verb)
	case len(typed.args) <= most:
		return nil
	case most == 0 && p.takesFile(typed.args[0]):
		return UsageErrorf("%s takes no argument %q; fix: %s --config %s", verb, typed.args[0], verb, typed.args[0])
	case most == 0:
		return UsageErrorf("%s takes no argument %q: see %s --help", verb, typed.args[0], verb)
	}
	return UsageErrorf("%s takes %s, not %q too: see %s --help", verb, text.Plural(most, "argument"), typed.args[most], verb)
}

// fileForm is an argument that can only be a file, and that a shell takes as it stands.
var fileForm = regexp.MustCompile(`\A(-|[A-Za-z0-9_.+@:/-]*(/[A-Za-z0-9_.+@:-]*|\.(toml|conf|cfg|ya?ml|json)))\z`)

// takesFile tells whether an argument is a file, and goes behind a flag of the program.
func (p Program) takesFile(arg string) bool {
	_, takes := flagsOf(p.Flags)["--config"]
	return takes && fileForm.MatchString(arg)
}

// parseHelp is parse for the verb help, which may name another one, and for no verb at all.
func (p Program) parseHelp(args []string, at int) (line, error) {
	typed, words, err := p.splitFlags(p.Name, flagsOf(p.Flags), args)
	switch {
	case err != nil:
		return line{}, err
	case at < 0 && !typed.help:
		return line{}, UsageErrorf("which verb? see %s --help", p.Name)
	case at < 0, len(words) == 1, len(words) == 2 && words[1] == "help":
		return line{help: true}, nil
	case len(words) > 2:
		return line{}, UsageErrorf("help takes one verb, not %q too: see %s --help", words[2], p.Name)
	}
	verb, err := p.findVerb(words[1])
	return line{verb: verb, help: true}, err
}

// flagsOf maps the names of flags, with one dash and with two, to the flags.
func flagsOf(flags []cli.Flag) map[string]Flag {
	known := map[string]Flag{}
	for _, flag := range Described(flags) {
		for _, name := range flag.Names {
			name = strings.TrimLeft(name, "-")
			known["-"+name], known["--"+name] = flag, flag
		}
	}
	return known
}

// everyFlag maps the flags of all verbs; none means two things in two verbs.
func (p Program) everyFlag() map[string]Flag {
	flags := slices.Clone(p.Flags)
	for _, verb := range p.Verbs {
		flags = append(flags, verb.Flags...)
	}
	return flagsOf(flags)
}

// verbAt returns the place of the first argument that is neither a flag nor the
// value of one, -1 when there is none.
func verbAt(known map[string]Flag, args []string) int {
	for i := 0; i < len(args); i++ {
		switch {
		case known[args[i]].Value != "":
			i++
		case !strings.HasPrefix(args[i], "-"):
			return i
		}
	}
	return -1
}

// splitFlags parts flags, with their values, from other arguments. Behind "--"
// nothing is a flag. whose is what has those flags, for words.
func (p Program) splitFlags(whose string, known map[string]Flag, args []string) (typed line, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, hasValue := strings.Cut(arg, "=")
		flag, found := known[name]
		switch {
		case arg == "--":
			return typed, append(rest, args[i+1:]...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			rest = append(rest, arg)
		case arg == "-h" || arg == "--help" || arg == "-help":
			typed.help = true
		case !found:
			return typed, nil, p.unknownFlag(whose, name, known)
		case flag.Value != "" && !hasValue && i+1 == len(args):
			return typed, nil, UsageErrorf("%s needs a value: see %s --help", name, whose)
		case flag.Value != "" && !hasValue:
			i++
			typed.flags = append(typed.flags, flag.Names[0]+"="+args[i])
		case hasValue && flag.Value == "" && value != "true" && value != "false":
			return typed, nil, UsageErrorf("%s takes no value, not %q: write %s, or leave it out", name, value, name)
		case hasValue:
			typed.flags = append(typed.flags, flag.Names[0]+"="+value)
		default:
			typed.flags = append(typed.flags, flag.Names[0])
		}
	}
	return typed, rest, nil
}

// unknownFlag is the error for a flag that there is not, with the one that was meant.
func (p Program) unknownFlag(whose, name string, known map[string]Flag) error {
	if habit, found := suggest.Known(p.Habits, name); found && takes(known, habit.Instead) {
		return UsageErrorf("%s has no flag %q; fix: %s", whose, name, habit.Instead)
	}
	var own, all []string
	for _, flag := range known {
		switch first := strings.TrimLeft(flag.Names[0], "-"); {
		case len(first) == 1: // one letter is like any other
		case slices.ContainsFunc(p.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), first) }):
			all = append(all, first)
		default:
			own = append(own, first)
		}
	}
	slices.Sort(own) // a map's order is another one in each run
	slices.Sort(all)
	// Of two that are as near the verb's own is taken.
	if meant := suggest.Word(strings.TrimLeft(name, "-"), append(own, all...)); meant != "" {
		return UsageErrorf("%s has no flag %q: did you mean --%s?", whose, name, meant)
	}
	return UsageErrorf("%s has no flag %q: see %s --help", whose, name, whose)
}

// takes tells whether what is to be typed instead can be: it is a command, or one of the flags.
func takes(known map[string]Flag, instead string) bool {
	flag, _, _ := strings.Cut(instead, " ")
	_, found := known[flag]
	return found || flag == "--help" || !strings.HasPrefix(flag, "-")
}

// findVerb returns the verb of that name, or an error with the one that was meant.
func (p Program) findVerb(name string) (*cli.Command, error) {
	names := []string{"help"}
	for _, verb := range p.Verbs {
		if verb.Name == name {
			return verb, nil
		}
		names = append(names, verb.Name)
	}
	habit, found := suggest.Known(p.Habits, name)
	switch {
	case found && habit.Why != "":
		return nil, UsageErrorf("verb %q does not exist: %s; fix: %s", name, habit.Why, habit.Instead)
	case found:
		return nil, UsageErrorf("verb %q does not exist; fix: %s", name, habit.Instead)
	case p.takesFile(name):
		return nil, UsageErrorf("%q is not a verb; fix: %s VERB --config %s", name, p.Name, name)
	}
	if meant := suggest.Word(name, names); meant != "" {
		return nil, UsageErrorf("verb %q does not exist: did you mean %s?", name, meant)
	}
	return nil, UsageErrorf("verb %q does not exist: see %s --help", name, p.Name)
}
