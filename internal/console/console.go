// Package console exists so that every verb prints alike: data on standard output, for people or for
// programs; words on standard error; and a question only where somebody sees it and can answer.
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"natspread/internal/screen"
	"natspread/internal/terminal"
	"natspread/internal/text"
)

// Console is what a run reads and prints by.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	Flags
	Line *terminal.Line // what takes its time, on standard error; nil shows nothing
}

// Flags say how to print.
type Flags struct {
	JSON    bool   // results are for programs
	Quiet   bool   // no words but errors
	Verbose bool   // each program that is run, too
	Color   string // auto, always, never
}

// Printf prints a line on standard error, unless it should be quiet.
func (c *Console) Printf(format string, args ...any) {
	if !c.Quiet {
		c.Line.Clear()
		fmt.Fprintln(c.Err, c.ErrScreen().Say(text.OneLine(fmt.Sprintf(format, args...))))
	}
}

// Doing says on a terminal what is being done, once it has taken a second, until something else
// is printed. The programs that -v prints say as much.
func (c *Console) Doing(format string, args ...any) {
	if !c.Verbose {
		c.Line.Doing(text.OneLine(fmt.Sprintf(format, args...)) + "...")
	}
}

// PrintLines prints lines on standard error.
func (c *Console) PrintLines(lines []string) {
	for _, line := range lines {
		c.Printf("%s", line)
	}
}

// PrintJSON prints the result of a verb for programs: one object, of the type named
// after the verb, and the end of a line. A verb that fails prints a failure instead.
func (c *Console) PrintJSON(value any) error { return c.printJSON(value, "  ") }

// PrintJSONLine is PrintJSON on one line, for a verb that prints one object after the other.
func (c *Console) PrintJSONLine(value any) error { return c.printJSON(value, "") }

// printJSON prints an object, with an indent unless that is empty.
func (c *Console) printJSON(value any, indent string) error {
	c.Line.Clear()
	encoder := json.NewEncoder(c.Out)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// Answer prints the result of a verb on standard output: with --json for programs, else as
// text. One without a text has said on standard error what it did.
func (c *Console) Answer(result any, text string) error {
	switch {
	case c.JSON:
		return c.PrintJSON(result)
	case text == "":
		return nil
	}
	return c.Print(text)
}

// Print prints data; a closed pipe or a full disk is an error, unless there is nothing to print.
func (c *Console) Print(data string) error {
	if data == "" {
		return nil
	}
	c.Line.Clear()
	if _, err := io.WriteString(c.Out, data); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// Screen is what is written to standard output for.
func (c *Console) Screen() screen.Screen { return c.screenOf(c.Out) }

// ErrScreen is what is written to standard error for.
func (c *Console) ErrScreen() screen.Screen { return c.screenOf(c.Err) }

// screenOf is what is written to a stream for. It has styles as asked, or on a terminal when NO_COLOR is unset
// (no-color.org), and the terminal is none that has no styles at all.
func (c *Console) screenOf(stream io.Writer) screen.Screen {
	shown := screen.Screen{Columns: terminal.SizeOf(stream).Columns, Styled: c.Color == "always"}
	if c.Color != "always" && c.Color != "never" {
		shown.Styled = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminal.Is(stream)
	}
	return shown
}

// Asks tells whether somebody sees a question and can answer.
func (c *Console) Asks() bool { return !c.Quiet && terminal.Is(c.In) && terminal.Is(c.Err) }

// Ask asks a question of one who can answer: see Asks. An interruption is an answer, too.
func (c *Console) Ask(ctx context.Context, question string) (yes bool, err error) {
	c.Line.Clear()
	return terminal.Ask(ctx, c.In, c.Err, question)
}

// Choose asks for an answer. A prompt says which there may be, and a yes stands for the proposed one. What is wrong with
// an answer is said, and it is asked again. The answer is "" where nobody can answer, or wants to.
func (c *Console) Choose(ctx context.Context, question, prompt, proposed string, wrong func(answer string) string) (string, error) {
	if !c.Asks() {
		return "", nil
	}
	c.Printf("%s", question)
	if proposed != "" {
		prompt += ", or y for " + proposed
	}
	for {
		answer, err := terminal.Read(ctx, c.In, c.Err, prompt+"? ")
		switch word := strings.ToLower(answer); {
		case err != nil, word == "", word == "n", word == "no":
			return "", err
		case proposed != "" && (word == "y" || word == "yes"):
			return proposed, nil
		}
		said := wrong(answer)
		if said == "" {
			return answer, nil
		}
		c.Printf("%s", said)
	}
}
