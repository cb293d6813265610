package completion

import "strings"

// Bash returns the completion for bash. It needs nothing of the bash-completion
// package but to be found by it.
func Bash(t Tree) string { return t.write(bashTemplate) }

// bashTemplate finds the verb and the flag that waits for its value. The words that
// bash hands over are cut at "=" and ":", both of which may stand in a value. Names of
// files are offered with a slash behind directories. Of a name with ":" in it, as backends
// have, bash replaces what is behind the last one, so only that is offered.
const bashTemplate = `# bash completion for natspread(8), written by make completions from the command tree.

_natspread() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag='' verb='' word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $flag$word in
        *=) ;;
        *:) flag=: ;;
        *) if [[ $flag ]]; then
               flag=
           else
               case $word in
               {{join .Taking "|"}}) flag=$word ;;
               -*) ;;
               *) verb=${verb:-$word} ;;
               esac
           fi ;;
        esac
    done
    [[ $cur != = ]] || cur=

    COMPREPLY=()
    case "$verb $flag" in
    {{- range .Special}}
    {{patterns .Verb .Names}}) {{template "value" .Value}} ;;
    {{- end}}
    {{- range .All}}{{if .Value.Kind}}
    {{patterns "*" .Names}}) {{template "value" .Value}} ;;
    {{- end}}{{end}}
    *' ') _natspread_words ;;
    esac
}

_natspread_files() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
    compopt -o filenames 2>/dev/null
}

_natspread_words() {
    local words='{{join (flags .Flags) " "}}'
    case $verb in
    '') [[ $cur == -* ]] || words='{{join (verbs .Verbs true) " "}}' ;;
    {{- range .Verbs}}{{if .Verbs}}
    {{.Name}}) [[ $cur == -* ]] || words='{{join (verbs $.Verbs false) " "}}' ;;
    {{- else if not .Plain}}
    {{.Name}})
        {{- with .Flags}} words+=' {{join (flags .) " "}}'{{end}}
        {{- with .Words}} [[ $cur == -* ]] || words='{{join . " "}}'{{end}}
        {{- with .Names}}
        [[ $cur == -* ]] || _natspread_names {{join . " "}}
       {{- end}} ;;
    {{- end}}{{end}}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_natspread_names() {
    local typed=${COMP_LINE:0:COMP_POINT} before='' name
    typed=${typed##*[[:space:]]}
    if [[ $typed == *:* ]]; then
        before=${typed%:*}:
        cur=${typed##*:}
    fi
    words=''
    while IFS= read -r name; do
        [[ $name != "$before"* ]] || words+=" ${name#"$before"}"
    done < <(natspread completion "$@" 2>/dev/null)
}

complete -F _natspread natspread
` + bashValue

// bashValue offers the values of a flag.
const bashValue = `{{define "value"}}
{{- if eq .Kind "file"}}_natspread_files -f
{{- else if eq .Kind "directory"}}_natspread_files -d
{{- else if .Words}}mapfile -t COMPREPLY < <(compgen -W '{{join .Words " "}}' -- "$cur")
{{- else}}:{{end}}{{end}}`

// bashPatterns returns the patterns for flags of a verb, or of "*".
func bashPatterns(verb string, flags []string) string {
	var patterns []string
	for _, flag := range flags {
		if verb == "*" {
			patterns = append(patterns, "*' "+flag+"'")
		} else {
			patterns = append(patterns, "'"+verb+" "+flag+"'")
		}
	}
	return strings.Join(patterns, "|")
}
