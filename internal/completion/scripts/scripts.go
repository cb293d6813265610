// Package scripts exists so that the program itself holds what shells complete by; who writes
// these files is internal/completion.
package scripts

import _ "embed" // the files

// The completions as they are shipped.
var (
	//go:embed natspread.bash
	bash string
	//go:embed natspread.zsh
	zsh string
	//go:embed natspread.fish
	fish string
)

// Of returns the completion for a shell, "" for one that has none.
func Of(shell string) string {
	return map[string]string{"bash": bash, "zsh": zsh, "fish": fish}[shell]
}
