package completion

import "strings"

// Fish returns the completion for fish.
func Fish(t Tree) string { return t.write(fishTemplate) }

// fishTemplate tells whether the verb on the command line is the one named, or with an
// empty name that there is none yet: fish's own functions take the value of a flag for a verb.
const fishTemplate = `# fish completion for natspread(8), written by make completions from the command tree.

function __natspread_verb
    set -l value false
    for word in (commandline -opc)[2..]
        if $value
            set value false
        else if contains -- $word {{join .Taking " "}}
            set value true
        else if not string match -q -- '-*' $word
            test "$word" = "$argv"
            return
        end
    end
    test -z "$argv"
end

complete -c natspread -f
{{- range .Verbs}}
complete -c natspread -n "__natspread_verb ''" -a {{.Name}} -d {{fishQuoted .Does}}
{{- end}}
{{- range .Flags}}
complete -c natspread{{template "flag" .}}
{{- end}}
{{- range $verb := .Verbs}}{{if .Verbs}}
complete -c natspread -n '__natspread_verb {{.Name}}' -a '{{join (verbs $.Verbs false) " "}}'
{{- end}}{{with .Words}}
complete -c natspread -n '__natspread_verb {{$verb.Name}}' -a '{{join . " "}}'
{{- end}}{{with .Names}}
complete -c natspread -n '__natspread_verb {{$verb.Name}}' -a '(natspread completion {{join . " "}} 2>/dev/null)'
{{- end}}{{range .Flags}}
complete -c natspread -n '__natspread_verb {{$verb.Name}}'{{template "flag" .}}
{{- end}}{{end}}
` + fishFlag

// fishFlag is a flag as complete describes it. fish's own function would take the flag in
// --root=DIR for a part of the name of a directory.
const fishFlag = `{{define "flag"}}{{range .Names}} {{option .}}{{end}}
{{- if eq .Value.Kind "file"}} -r -F
{{- else if eq .Value.Kind "directory"}} -x -a '(__fish_complete_directories (commandline -ct | string replace -r "^-[^=]*=" ""))'
{{- else if .Value.Words}} -x -a '{{join .Value.Words " "}}'
{{- else if .Value.Kind}} -x
{{- end}} -d {{fishQuoted .Words}}{{end}}`

// fishOption returns the option of complete that names a flag.
func fishOption(name string) string {
	if long, isLong := strings.CutPrefix(name, "--"); isLong {
		return "-l " + long
	}
	return "-s " + strings.TrimPrefix(name, "-")
}

// fishQuoted returns words in single quotes, as fish reads them.
func fishQuoted(words string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(words) + "'"
}
