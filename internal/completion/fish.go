package completion

import (
	"fmt"
	"strings"
)

// fishFunction tells whether the verb on the command line is the one named, ” for
// none yet. fish's own functions take the value of a flag for a verb.
const fishFunction = `
function __natspread_verb
    set -l value false
    for word in (commandline -opc)[2..]
        if $value
            set value false
        else if contains -- $word %s
            set value true
        else if not string match -q -- '-*' $word
            test "$word" = "$argv"
            return
        end
    end
    test -z "$argv"
end

complete -c natspread -f
`

// Fish returns the completion for fish.
func Fish(t Tree) string {
	var text strings.Builder
	text.WriteString(headline("fish"))
	fmt.Fprintf(&text, fishFunction, strings.Join(t.valued(anyValue), " "))
	for _, verb := range t.Verbs {
		fmt.Fprintf(&text, "complete -c natspread -n \"__natspread_verb ''\" -a %s -d %s\n", verb.Name, fishQuoted(verb.Words))
	}
	for _, flag := range t.Flags {
		text.WriteString("complete -c natspread" + fishFlag(flag))
	}
	for _, verb := range t.Verbs {
		when := fmt.Sprintf("complete -c natspread -n '__natspread_verb %s'", verb.Name)
		if verb.Verbs {
			fmt.Fprintf(&text, "%s -a '%s'\n", when, strings.Join(t.verbs(func(v Verb) bool { return !v.Verbs }), " "))
		}
		for _, flag := range verb.Flags {
			text.WriteString(when + fishFlag(flag))
		}
	}
	return text.String()
}

// fishDirectories offers directories. fish's own function would take the flag in
// --root=DIR for a part of the name.
const fishDirectories = `'(__fish_complete_directories (commandline -ct | string replace -r "^-[^=]*=" ""))'`

// fishFlag returns the options of complete that describe a flag.
func fishFlag(flag Flag) string {
	var options strings.Builder
	for _, name := range flag.Names {
		option := "-l"
		if !strings.HasPrefix(name, "--") {
			option = "-s"
		}
		fmt.Fprintf(&options, " %s %s", option, strings.TrimLeft(name, "-"))
	}
	switch {
	case flag.Value.Kind == File:
		options.WriteString(" -r -F")
	case flag.Value.Kind == Directory:
		options.WriteString(" -x -a " + fishDirectories)
	case len(flag.Value.Words) > 0:
		fmt.Fprintf(&options, " -x -a '%s'", strings.Join(flag.Value.Words, " "))
	case flag.Value.Kind != None:
		options.WriteString(" -x")
	}
	return fmt.Sprintf("%s -d %s\n", options.String(), fishQuoted(flag.Words))
}

// fishQuoted returns words in single quotes, as fish reads them.
func fishQuoted(words string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(words) + "'"
}
