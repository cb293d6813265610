package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bashAsks calls the completion as bash does, with the line cut into words where
// COMP_WORDBREAKS cuts it, and puts each offer behind what bash leaves of the last word.
const bashAsks = `
source "$1"
asks=$(complete -p natspread | sed 's/.* -F \([^ ]*\) .*/\1/')
mapfile -t lines
mapfile -t cut < <(printf '%s\n' "${lines[@]}" | sed 's/[=:]\+/ & /g')
for i in "${!lines[@]}"; do
    line=${lines[i]}
    read -ra COMP_WORDS <<<"${cut[i]}"
    [[ $line != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} left=${line##* }
    [[ $left == *:* ]] && left=${left%:*}: || left=
    "$asks"
    [[ ${#COMPREPLY[@]} == 0 ]] || printf "$left%s\n" "${COMPREPLY[@]}"
    echo .
done`

// zshAsks types each line and a tab into an interactive zsh, in which compadd writes
// down what it is to offer. What the terminal shows is read, and dropped:
// a full one would stop its zsh. A line that is typed while zsh takes over the
// terminal can be lost, so after 20 seconds without an answer it gives up, to be
// asked again.
const zshAsks = `
zmodload zsh/zpty zsh/zselect
rm -f .functions/offered
cp $1 ./.functions/_natspread
zpty asked "exec zsh -f -i"
zpty -w asked 'setopt no_beep no_auto_list no_auto_menu; fpath=($PWD/.functions $fpath)
autoload -Uz compinit && compinit -u -D
offer() { print -rl -- "$@" >>.functions/offered }
compadd() {
    if [[ ${@[1,(i)(-|--)]} != *-[OAD]* ]]; then
        local -a hits
        builtin compadd -A hits "$@"
        (( ! $#hits )) || offer $hits
    fi
    builtin compadd "$@"
}
asked() { comppostfuncs=(asked); offer . }
comppostfuncs=(asked)
offer ready'
await() {
    local shown
    local -a hits
    integer waited
    until [[ -e .functions/offered ]] && hits=(${(f)"$(<.functions/offered)"}) && hits=(${(M)hits:#$1}) && (( $#hits >= $2 )); do
        zpty -r -t asked shown || zselect -t 1
        (( ++waited < 2000 )) || exit 75
    done
}
await ready 1
: >.functions/offered
integer n
while IFS= read -r line; do
    zpty -w -n asked $'\C-u'$line$'\t'
    await . $((++n))
done
cat .functions/offered`

// fishAsks asks fish itself.
const fishAsks = `
source $argv[1]
while read -l line
    complete -C $line | string replace -r '\t.*' ''
    echo .
end`

func TestBashCompletion(t *testing.T) {
	checkCompletions(t, func(dir string, typed []string) [][]string {
		return shell(t, dir, typed, "bash", "-c", bashAsks, "bash", shipped(t, "natspread.bash"))
	})
}

func TestZshCompletion(t *testing.T) {
	checkCompletions(t, func(dir string, typed []string) [][]string {
		if err := os.Mkdir(filepath.Join(dir, ".functions"), 0o755); err != nil {
			t.Fatal(err)
		}
		return shell(t, dir, typed, "zsh", "-f", "-c", zshAsks, "zsh", shipped(t, "natspread.zsh"))
	})
}

func TestFishCompletion(t *testing.T) {
	checkCompletions(t, func(dir string, typed []string) [][]string {
		return shell(t, dir, typed, "fish", "--no-config", "-c", fishAsks, shipped(t, "natspread.fish"))
	})
}

// shipped returns the absolute path of a completion.
func shipped(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(completionDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// shell runs a shell, which reads on standard input what was typed, a line each,
// and answers with the words that it offers, a line each, and a dot.
func shell(t *testing.T, dir string, typed []string, name string, args ...string) [][]string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s on this machine: apt-get install %s", name, name)
	}
	const tryAgain = 75 // EX_TEMPFAIL of sysexits.h
	out, code := runShell(t, dir, typed, name, args...)
	for tries := 1; code == tryAgain && tries < 3; tries++ {
		out, code = runShell(t, dir, typed, name, args...)
	}
	if code != 0 {
		t.Fatalf("%s ended with %d\n%s", name, code, out)
	}
	var answers [][]string
	var answer []string
	for line := range strings.Lines(string(out)) {
		if line == ".\n" {
			answers, answer = append(answers, answer), nil
			continue
		}
		answer = append(answer, strings.TrimSuffix(line, "\n"))
	}
	return answers
}

// runShell runs a shell once and returns what it printed and its exit code.
func runShell(t *testing.T, dir string, typed []string, name string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "TERM=dumb", "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(strings.Join(typed, "\n") + "\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", name, err, &stdout, &stderr)
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}
