package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is the width of the terminal that help is written for.
const helpWidth = 80

// programHelp returns what natspread --help prints.
func programHelp(app *cli.App) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n\nUsage: %s\n\n%s\n\nVerbs:\n", app.Name, app.Usage, app.UsageText, app.Description)
	var verbs, codes [][2]string
	for _, command := range app.Commands {
		verbs = append(verbs, [2]string{command.Name, command.Usage})
	}
	for _, exit := range exitCodes() {
		codes = append(codes, [2]string{fmt.Sprint(exit.code), exit.words})
	}
	writeColumns(&text, verbs)
	text.WriteString("\nFlags of every verb, before it or behind it:\n")
	writeColumns(&text, flagLines(commonFlags()))
	text.WriteString("\nExit codes:\n")
	writeColumns(&text, codes)
	text.WriteString("\nMore on a verb: natspread VERB --help\n")
	return text.String()
}

// verbHelp returns what natspread VERB --help prints.
func verbHelp(verb *cli.Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "natspread %s: %s\n\nUsage: %s\n\n", verb.Name, verb.Usage, verb.UsageText)
	fmt.Fprintf(&text, "%s\n\nFlags:\n", strings.TrimSpace(verb.Description))
	writeColumns(&text, flagLines(verb.Flags))
	return text.String()
}

// flagLines returns each flag as it is typed, and what it does.
func flagLines(flags []cli.Flag) [][2]string {
	var lines [][2]string
	for _, flag := range flags {
		described, ok := flag.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		value, words := unquoteValue(described.GetUsage())
		var names []string
		for _, name := range flag.Names() {
			names = append(names, dashed(name))
		}
		typed := strings.Join(names, ", ")
		if described.TakesValue() {
			typed += " " + value
			if usual := strings.Trim(described.GetDefaultText(), `"`); usual != "" {
				words += " (default " + usual + ")"
			}
		}
		lines = append(lines, [2]string{typed, words})
	}
	return append(lines, [2]string{"--help, -h", "print this help"})
}

// dashed returns a flag's name as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// unquoteValue takes the name of a flag's value out of its words, where it stands
// in backquotes.
func unquoteValue(usage string) (value, words string) {
	before, rest, _ := strings.Cut(usage, "`")
	value, after, _ := strings.Cut(rest, "`")
	return value, before + value + after
}

// writeColumns writes two columns, the second one wrapped at helpWidth.
func writeColumns(text *strings.Builder, lines [][2]string) {
	width := 0
	for _, line := range lines {
		width = max(width, len(line[0]))
	}
	for _, line := range lines {
		left := line[0]
		for _, part := range wrap(line[1], helpWidth-width-4) {
			fmt.Fprintf(text, "  %-*s  %s\n", width, left, part)
			left = ""
		}
	}
}

// wrap breaks words into lines of at most width, where one word fits.
func wrap(words string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(words) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
