package cmdline

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is the width of the terminal that help is written for.
const helpWidth = 80

// help returns the help of the program.
func (p Program) help() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n\nUsage: %s VERB [flags]\n\n%s\n\nVerbs:\n", p.Name, p.Usage, p.Name, p.Description)
	var verbs, codes [][2]string
	for _, verb := range p.Verbs {
		verbs = append(verbs, [2]string{verb.Name, verb.Usage})
	}
	for _, exit := range p.Exits {
		codes = append(codes, [2]string{fmt.Sprint(exit.Code), exit.Words})
	}
	writeColumns(&text, verbs)
	text.WriteString("\nFlags of every verb, before it or behind it:\n")
	writeColumns(&text, append(flagLines(p.Flags), helpLine()))
	text.WriteString("\nExit codes:\n")
	writeColumns(&text, codes)
	fmt.Fprintf(&text, "\nMore on a verb: %s VERB --help\n", p.Name)
	return text.String()
}

// verbHelp returns the help of a verb.
func (p Program) verbHelp(verb *cli.Command) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s: %s\n\nUsage: ", p.Name, verb.Name, verb.Usage)
	fmt.Fprintln(&text, strings.Join(strings.Fields(p.Name+" "+verb.Name+" "+verb.ArgsUsage+" [flags]"), " "))
	fmt.Fprintf(&text, "\n%s\n", verb.Description)
	if len(verb.Flags) > 0 {
		text.WriteString("\nFlags:\n")
		writeColumns(&text, flagLines(verb.Flags))
	}
	var typed []string
	for _, line := range append(flagLines(p.Flags), helpLine()) {
		typed = append(typed, strings.ReplaceAll(line[0], ", ", " or "))
	}
	fmt.Fprintf(&text, "\nFlags of every verb, which %s --help explains:\n", p.Name)
	for _, line := range wrap(strings.Join(typed, ", "), helpWidth-2) {
		fmt.Fprintf(&text, "  %s\n", line)
	}
	return text.String()
}

// flagLines returns each flag as it is typed, and what it does.
func flagLines(flags []cli.Flag) [][2]string {
	var lines [][2]string
	for _, flag := range Described(flags) {
		if flag.Default != "" {
			flag.Words += " (default " + flag.Default + ")"
		}
		typed := strings.TrimSpace(strings.Join(flag.Names, ", ") + " " + flag.Value)
		lines = append(lines, [2]string{typed, flag.Words})
	}
	return lines
}

// helpLine is the flag that is no one's.
func helpLine() [2]string { return [2]string{"--help, -h", "print this help"} }

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
