// Package man exists so that the bare program has its manual with it.
package man

import (
	_ "embed" // the pages
	"regexp"
	"strings"
)

// The pages, as they are written here.
var (
	//go:embed natspread.8.md
	verbs string
	//go:embed natspread.toml.5.md
	config string
)

// Pages are the names of the pages, the first one that of the program itself.
func Pages() []string { return []string{"natspread", "natspread.toml"} }

// markup is what stands around words in bold and in italics, and a backslash before what is
// none of this.
var markup = regexp.MustCompile(`\*\*?|\\([*_])`)

// Text returns a page as it is read on a terminal, "" where there is none of that name.
// heading gets each heading, to make it stand out.
func Text(page string, heading func(string) string) string {
	markdown := map[string]string{"natspread": verbs, "natspread.toml": config}[page]
	var text strings.Builder
	code := false
	for line := range strings.Lines(markdown) {
		title, term := strings.TrimLeft(line, "#"), strings.TrimPrefix(line, ":")
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
			continue
		case code:
			line = "    " + line
		case title != line:
			line = heading(strings.TrimSpace(title)) + "\n"
		case term != line:
			line = " " + markup.ReplaceAllString(term, "$1")
		default:
			line = markup.ReplaceAllString(line, "$1")
		}
		text.WriteString(line)
	}
	return text.String()
}
