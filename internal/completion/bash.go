package completion

import (
	"fmt"
	"strings"
)

// bashFunction finds the verb and the flag that waits for its value. The words that
// bash hands over are cut at "=" and ":", both of which may stand in a value.
const bashFunction = `
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
               %s) flag=$word ;;
               -*) ;;
               *) verb=${verb:-$word} ;;
               esac
           fi ;;
        esac
    done
    [[ $cur != = ]] || cur=

    COMPREPLY=()
    case $flag in
%s    '') _natspread_words ;;
    esac
}
`

// Bash returns the completion for bash. It needs nothing of the bash-completion
// package but to be found by it.
func Bash(t Tree) string {
	var values strings.Builder
	files := func(kind Kind, action string) {
		names := t.valued(func(v Value) bool { return v.Kind == kind })
		if len(names) > 0 {
			fmt.Fprintf(&values, "    %s) _natspread_files %s ;;\n", strings.Join(names, "|"), action)
		}
	}
	files(File, "-f")
	files(Directory, "-d")
	for _, flag := range t.all() {
		if len(flag.Value.Words) > 0 {
			fmt.Fprintf(&values, "    %s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\") ;;\n",
				strings.Join(flag.Names, "|"), strings.Join(flag.Value.Words, " "))
		}
	}
	var text strings.Builder
	text.WriteString(headline("bash"))
	fmt.Fprintf(&text, bashFunction, strings.Join(t.valued(anyValue), "|"), values.String())
	text.WriteString(bashFiles)
	text.WriteString(t.bashWords())
	text.WriteString("\ncomplete -F _natspread natspread\n")
	return text.String()
}

// bashFiles offers names of files, with a slash behind directories.
const bashFiles = `
_natspread_files() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
    compopt -o filenames 2>/dev/null
}
`

// bashWords returns the function that offers verbs and flags.
func (t Tree) bashWords() string {
	var text strings.Builder
	text.WriteString("\n_natspread_words() {\n")
	fmt.Fprintf(&text, "    local words='%s'\n    case $verb in\n", spaced(t.Flags))
	fmt.Fprintf(&text, "    '') [[ $cur == -* ]] || words='%s' ;;\n", strings.Join(t.verbs(anyVerb), " "))
	for _, verb := range t.Verbs {
		switch {
		case verb.Verbs:
			fmt.Fprintf(&text, "    %s) [[ $cur == -* ]] || words='%s' ;;\n", verb.Name,
				strings.Join(t.verbs(func(v Verb) bool { return !v.Verbs }), " "))
		case len(verb.Flags) > 0:
			fmt.Fprintf(&text, "    %s) words+=' %s' ;;\n", verb.Name, spaced(verb.Flags))
		}
	}
	text.WriteString("    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n")
	return text.String()
}
