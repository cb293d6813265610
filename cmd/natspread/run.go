package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"natspread/internal/program"

	"github.com/urfave/cli/v2"
)

// streams are standard input, output and error.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// session is what the verbs share in one run of the program.
type session struct {
	streams
	common                                         // the flags that every verb takes
	runner  program.Runner                         // the one way to run programs
	locks   *program.Locks                         // those that these programs share; nil in tests without processes
	connect func(context.Context) (systemd, error) // the one way to the running systemd
}

// run runs natspread with the arguments behind the program's name and returns the
// exit code.
func run(args []string, s *session) int {
	ctx, stop := signal.NotifyContext(context.Background(), interruptions()...)
	defer stop()
	// A closed pipe shall be an error of the write, not the end of the program
	// between two steps. Caught and not ignored, since children inherit what is ignored.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	err := s.dispatch(ctx, args)
	s.complain(err)
	return exitCode(err)
}

// interruptions are the signals upon which natspread stops what it does, and puts
// back what it did by half. A hangup under nohup stays ignored.
func interruptions() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// dispatch finds out what is asked for, help or a verb, and does it.
func (s *session) dispatch(ctx context.Context, args []string) error {
	app := s.app()
	line, err := parseArgs(app.Commands, args)
	switch {
	case err != nil:
		return err
	case line.help && line.verb == nil:
		return s.print(programHelp(app))
	case line.help:
		return s.print(verbHelp(line.verb))
	}
	app.Commands = []*cli.Command{line.verb} // the library would set up the others too
	return app.RunContext(ctx, append([]string{app.Name}, line.typed()...))
}

// app describes the command line. The library only parses flags: its own handling
// of errors and help is switched off, because it prints usage errors on standard
// output, chooses exit codes of its own and does not see that printing failed.
func (s *session) app() *cli.App {
	app := &cli.App{
		Name:           "natspread",
		Usage:          "balance connections with the kernel's nat table, across reboots",
		UsageText:      "natspread VERB [flags]",
		HideHelp:       true,
		HideVersion:    true, // it would take -v
		Writer:         s.err,
		ErrWriter:      s.err,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Description: "One TOML file names services and their backends. natspread turns it into a\n" +
			"nat table, proves it in a scratch network namespace, loads it beside everyone\n" +
			"else's rules, and puts it back at every boot.\n\n" +
			"Example:\n" +
			"  natspread init && natspread check && natspread apply && natspread status",
	}
	app.Commands = []*cli.Command{
		s.initVerb(), s.checkVerb(), s.renderVerb(), s.diffVerb(), s.applyVerb(),
		s.confirmVerb(), s.drainVerb(), s.undrainVerb(), s.historyVerb(), s.rollbackVerb(), s.restoreVerb(), s.statusVerb(),
		s.doctorVerb(), s.stopVerb(), s.installVerb(), s.uninstallVerb(),
		s.versionVerb(),
	}
	return app
}

// verb completes a command with what all of them have: the common flags, an
// example, and words on usage errors. Arguments are those that its ArgsUsage names. read
// reads the verb's own flags, and refuses those that exclude each other.
func verb[O any](s *session, command *cli.Command, example string, read func(*cli.Context) (O, error), action func(context.Context, O) error) *cli.Command {
	command.Flags = append(command.Flags, commonFlags()...)
	command.UsageText = strings.Join(strings.Fields("natspread "+command.Name+" "+command.ArgsUsage+" [flags]"), " ")
	command.Description += "\n\nExample:\n  " + example
	command.HideHelp = true
	command.OnUsageError = onUsageError
	command.Action = func(c *cli.Context) error {
		var err error
		if s.common, err = readCommon(c); err != nil {
			return err
		}
		options, err := read(c)
		if err != nil {
			return err
		}
		return action(c.Context, options)
	}
	return command
}

// guarded is an action of a verb that a check of rights, which gets the verb's name, may
// refuse before any work.
func guarded[O any](check func(verb string) error, verb string, action func(context.Context, O) error) func(context.Context, O) error {
	return func(ctx context.Context, options O) error {
		if err := check(verb); err != nil {
			return err
		}
		return action(ctx, options)
	}
}

// noOptions are those of a verb without flags of its own.
type noOptions struct{}

// readNone reads the flags of a verb that has none of its own.
func readNone(*cli.Context) (noOptions, error) { return noOptions{}, nil }

// onUsageError turns a complaint of the flag parser into ours.
func onUsageError(c *cli.Context, err error, _ bool) error {
	return usageErrorf("%v: see natspread %s --help", err, c.Command.Name)
}
