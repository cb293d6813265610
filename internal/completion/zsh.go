package completion

import (
	"fmt"
	"strings"
)

// Zsh returns the completion for zsh, to be installed as _natspread.
func Zsh(t Tree) string {
	var text strings.Builder
	text.WriteString("#compdef natspread\n" + headline("zsh"))
	text.WriteString("\n_natspread() {\n    local curcontext=$curcontext state line\n    local -a verbs flags\n    verbs=(\n")
	for _, verb := range t.Verbs {
		fmt.Fprintf(&text, "        %s\n", quoted(verb.Name+":"+verb.Words))
	}
	text.WriteString("    )\n    flags=(\n")
	writeZsh(&text, t.Flags)
	text.WriteString("    )\n    _arguments -C -S $flags '1:verb:->verb' '*::argument:->behind' && return\n")
	text.WriteString("    case $state:$words[1] in\n    verb:*)\n        _describe verb verbs\n        return\n        ;;\n")
	for _, verb := range t.Verbs {
		switch {
		case verb.Verbs:
			fmt.Fprintf(&text, "    behind:%s)\n        _arguments -S $flags '1:verb:(%s)'\n        return\n        ;;\n", verb.Name,
				strings.Join(t.verbs(func(v Verb) bool { return !v.Verbs }), " "))
		case len(verb.Flags) > 0:
			fmt.Fprintf(&text, "    behind:%s)\n        flags+=(\n", verb.Name)
			writeZsh(&text, verb.Flags)
			text.WriteString("        )\n        ;;\n")
		}
	}
	text.WriteString("    esac\n    _arguments -S $flags '*:argument: '\n}\n\n_natspread \"$@\"\n")
	return text.String()
}

// writeZsh writes what _arguments wants to know of flags, a line for each name.
func writeZsh(text *strings.Builder, flags []Flag) {
	for _, flag := range flags {
		for _, name := range flag.Names {
			typed := name
			if flag.Value.Kind != None && strings.HasPrefix(name, "--") {
				typed += "=" // the value follows, or stands in the next word
			}
			words := strings.NewReplacer("[", `\[`, "]", `\]`).Replace(flag.Words)
			fmt.Fprintf(text, "        %s\n", quoted(fmt.Sprintf("*%s[%s]%s", typed, words, zshValue(flag.Value))))
		}
	}
}

// zshValue returns how zsh completes a value.
func zshValue(value Value) string {
	switch {
	case value.Kind == None:
		return ""
	case value.Kind == File:
		return ":file:_files"
	case value.Kind == Directory:
		return ":directory:_files -/"
	case len(value.Words) > 0:
		return ":value:(" + strings.Join(value.Words, " ") + ")"
	}
	return ":value: "
}
