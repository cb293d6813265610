// Package cmdline exists so that a program of several verbs reads what people type in whatever
// order they type it; it must not know what any verb does.
//
// The library urfave/cli only parses flags: its own handling of errors and help is not used,
// because it prints usage errors on standard output, chooses exit codes of its own and does
// not see that printing failed.
package cmdline

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/suggest"
)

// Program is a program of verbs.
type Program struct {
	Name, Usage, Description string
	Verbs                    []*cli.Command           // each made by Verb
	Flags                    []cli.Flag               // those that every verb takes, before it or behind it
	Read                     func(*cli.Context) error // reads Flags, before a verb reads its own
	Exits                    []Exit                   // for the help
	Habits                   []suggest.Habit          // what people type who know other programs
}

// Exit is an exit code and its meaning.
type Exit struct {
	Code  int
	Words string
}

// Run does what was typed. Where that asks for help, it does nothing and returns the help.
func (p Program) Run(ctx context.Context, args []string) (help string, err error) {
	typed, err := p.parse(args)
	switch {
	case err != nil:
		return "", err
	case typed.help && typed.verb == nil:
		return p.help(), nil
	case typed.help:
		return p.verbHelp(typed.verb), nil
	}
	app := &cli.App{
		Name:           p.Name,
		HideHelp:       true,
		HideVersion:    true, // it would take -v
		Writer:         io.Discard,
		ErrWriter:      io.Discard,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Commands:       []*cli.Command{p.complete(typed.verb)},
	}
	return "", app.RunContext(ctx, append([]string{p.Name}, typed.words()...))
}

// Verb completes a command with what all verbs have: an example, and an action with the
// verb's own flags. Arguments are those that its ArgsUsage names. read reads the flags, and
// refuses those that exclude each other.
func Verb[O any](command *cli.Command, example string, read func(*cli.Context) (O, error), action func(context.Context, O) error) *cli.Command {
	command.Description = strings.TrimSpace(command.Description + "\n\nExample:\n  " + example)
	command.Action = func(c *cli.Context) error {
		options, err := read(c)
		if err != nil {
			return err
		}
		return action(c.Context, options)
	}
	return command
}

// Guarded is an action of a verb that a check, which gets the verb's name, may refuse before
// any work.
func Guarded[O any](check func(verb string) error, verb string, action func(context.Context, O) error) func(context.Context, O) error {
	return func(ctx context.Context, options O) error {
		if err := check(verb); err != nil {
			return err
		}
		return action(ctx, options)
	}
}

// None are the options of a verb without flags of its own.
type None struct{}

// ReadNone reads the flags of a verb that has none of its own.
func ReadNone(*cli.Context) (None, error) { return None{}, nil }

// complete returns a verb as the library is to run it: with the flags of every verb, which are
// read first, and with our words on usage errors.
func (p Program) complete(verb *cli.Command) *cli.Command {
	whole := *verb
	whole.Flags = p.flags(verb)
	whole.HideHelp = true
	whole.OnUsageError = onUsageError
	whole.Action = func(c *cli.Context) error {
		if err := checkEmpty(c); err != nil {
			return err
		}
		if err := p.Read(c); err != nil {
			return err
		}
		return verb.Action(c)
	}
	return &whole
}

// flags returns all flags that a verb takes.
func (p Program) flags(verb *cli.Command) []cli.Flag { return slices.Concat(verb.Flags, p.Flags) }

// onUsageError turns a complaint of the library into ours.
func onUsageError(c *cli.Context, err error, _ bool) error {
	return UsageErrorf("%v: see %s %s --help", err, c.App.Name, c.Command.Name)
}
