// Package man exists so that the bare program has its manual with it.
package man

import (
	_ "embed" // the pages
	"regexp"
	"strings"
	"text/tabwriter"
)

// The pages, as they are written here.
var (
	//go:embed natspread.8.md
	verbs string
	//go:embed natspread.toml.5.md
	config string
	//go:embed natspread-json.5.md
	printed string
)

// Pages are the names of the pages, the first one that of the program itself.
func Pages() []string { return []string{"natspread", "natspread.toml", "natspread-json"} }

// The columns of man(1) on a terminal of 80: where text begins, where what explains a term does, and
// where lines end.
const (
	indent  = 7
	deeper  = 14
	columns = 78
)

// markup is what stands around words in bold, in italics and in code, and a backslash before what is
// none of this.
var markup = regexp.MustCompile("\\*\\*?|\\\\([*_])|`")

// italics is a word in italics behind another one without a blank, as in generations/N.
var italics = regexp.MustCompile(`(^|\*|\.)_([\w.-]+?)_`)

// cell is what stands between two cells of a table.
var cell = regexp.MustCompile(`\s*\|\s*`)

// item is what begins an item of a list.
var item = regexp.MustCompile(`^(- |\d+\. )`)

// Text returns a page as man(1) shows it on a terminal of 80 columns, "" where there is none of that name.
// heading gets each heading, to make it stand out.
func Text(page string, heading func(string) string) string {
	markdown := map[string]string{"natspread": verbs, "natspread.toml": config, "natspread-json": printed}[page]
	_, markdown, _ = strings.Cut(markdown, "\n\n") // what man(1) makes its first line of
	p := &printer{heading: heading}
	for line := range strings.Lines(markdown) {
		p.line(strings.TrimSuffix(line, "\n"))
	}
	p.flush()
	return p.text.String()
}

// printer prints a page line by line. A paragraph waits until its last line is read, and so does a table.
type printer struct {
	heading   func(string) string
	text      strings.Builder
	code      bool
	headed    bool     // the line before is a heading, which has no empty line below it
	paragraph []string // its words
	at, hang  int      // where its first line begins, and how much farther the others do
	table     []string // its rows
}

// line takes a line of a page.
func (p *printer) line(line string) {
	title, headed := strings.TrimLeft(line, "#"), p.headed
	p.headed = false
	term, explains := strings.CutPrefix(line, ":   ")
	switch {
	case strings.HasPrefix(line, "```"):
		p.flush()
		p.code = !p.code
	case p.code:
		p.text.WriteString(strings.TrimRight(strings.Repeat(" ", indent+4)+line, " ") + "\n")
	case title != line:
		p.flush()
		p.text.WriteString(strings.Repeat(" ", 3*(len(line)-len(title)-2)) + p.heading(strings.TrimSpace(title)) + "\n")
		p.headed = true
	case strings.HasPrefix(line, "|"):
		p.table = append(p.table, line)
	case line == "" && headed:
	case line == "":
		p.flush()
		p.text.WriteString("\n")
	case explains:
		p.flush()
		p.begin(deeper, 0, term)
	case len(p.paragraph) == 0 && strings.HasPrefix(line, "    "):
		p.begin(deeper, 0, line)
	case item.MatchString(line):
		p.flush()
		p.begin(indent, len(item.FindString(line)), line)
	case len(p.paragraph) == 0:
		p.begin(indent, 0, line)
	default:
		p.paragraph = append(p.paragraph, strings.Fields(line)...)
	}
}

// begin begins a paragraph.
func (p *printer) begin(at, hang int, line string) {
	p.at, p.hang, p.paragraph = at, hang, strings.Fields(line)
}

// flush prints the paragraph, or the table, that waits.
func (p *printer) flush() {
	line, at := "", p.at
	for _, word := range p.paragraph {
		word = plain(word)
		if line != "" && at+len(line)+1+len(word) > columns {
			p.put(at, line)
			line, at = "", p.at+p.hang
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	p.put(at, line)
	rows := tabwriter.NewWriter(&p.text, 0, 0, 2, ' ', 0)
	for _, row := range p.table {
		if !strings.HasPrefix(row, "|--") {
			cells := cell.ReplaceAllString(strings.TrimRight(strings.Trim(row, "|"), " "), "\t")
			_, _ = rows.Write([]byte(strings.Repeat(" ", indent-1) + plain(cells) + "\n")) // of a strings.Builder
		}
	}
	_ = rows.Flush() // the same
	p.paragraph, p.table = nil, nil
}

// plain returns words without their markup.
func plain(words string) string {
	return markup.ReplaceAllString(italics.ReplaceAllString(words, "$1$2"), "$1")
}

// put prints a line, if there is something in it.
func (p *printer) put(at int, line string) {
	if line != "" {
		p.text.WriteString(strings.Repeat(" ", at) + line + "\n")
	}
}
