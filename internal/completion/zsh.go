package completion

import (
	"fmt"
	"strings"
)

// Zsh returns the completion for zsh, to be installed as _natspread.
func Zsh(t Tree) string { return t.write(zshTemplate) }

// zshTemplate gives _arguments a line for each name of a flag.
const zshTemplate = `#compdef natspread
# zsh completion for natspread(8), written by make completions from the command tree.

_natspread() {
    local curcontext=$curcontext state line
    local -a verbs flags names
    local argument=' '
    verbs=(
{{- range .Verbs}}
        {{quoted (print .Name ":" .Does)}}
{{- end}}
    )
    flags=(
{{- template "flags" .Flags}}
    )
    _arguments -C -S $flags '1:verb:->verb' '*::argument:->behind' && return
    case $state:$words[1] in
    verb:*)
        _describe verb verbs
        return
        ;;
{{- range .Verbs}}{{if .Verbs}}
    behind:{{.Name}})
        _arguments -S $flags '1:verb:({{join (verbs $.Verbs false) " "}})'
        return
        ;;
{{- else if not .Plain}}
    behind:{{.Name}})
{{- with .Flags}}
        flags+=(
{{- template "flags" .}}
        )
{{- end}}{{with .Words}}
        argument='({{join . " "}})'
{{- end}}{{with .Names}}
        names=({{join . " "}}) argument=_natspread_names
{{- end}}
        ;;
{{- end}}{{end}}
    esac
    _arguments -S $flags "*:argument:$argument"
}

_natspread_names() {
    compadd "$@" -- ${(f)"$(_call_program names natspread completion $names 2>/dev/null)"}
}

_natspread "$@"
{{define "flags"}}{{range $flag := .}}{{range .Names}}
        {{quoted (spec . $flag)}}
{{- end}}{{end}}{{end}}`

// zshSpec returns what _arguments wants to know of a flag by one of its names.
func zshSpec(name string, flag Flag) string {
	value, after := "", ""
	switch {
	case flag.Value.Kind == None:
	case flag.Value.Kind == File:
		value = ":file:_files"
	case flag.Value.Kind == Directory:
		value = ":directory:_files -/"
	case len(flag.Value.Words) > 0:
		value = ":value:(" + strings.Join(flag.Value.Words, " ") + ")"
	default:
		value = ":value: "
	}
	if value != "" && strings.HasPrefix(name, "--") {
		after = "=" // the value follows, or stands in the next word
	}
	return fmt.Sprintf("*%s%s[%s]%s", name, after, strings.NewReplacer("[", `\[`, "]", `\]`).Replace(flag.Words), value)
}
