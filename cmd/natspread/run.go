package main

import (
	"context"
	"errors"
	"io"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"natspread/restore"
)

// streams are standard input, output and error.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// session is what the verbs share in one run of the program.
type session struct {
	streams
	run restore.Runner // the one way to run programs
}

// run runs natspread with the arguments behind the program's name and returns the
// exit code.
func run(args []string, std streams, runner restore.Runner) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s := &session{streams: std, run: runner}
	app := s.app()
	arranged, err := arrange(app.Commands, args)
	if err == nil {
		err = app.RunContext(ctx, append([]string{app.Name}, arranged...))
	}
	s.complain(err)
	return exitCode(err)
}

// app describes the command line. The library's own handling of errors is switched
// off everywhere: it prints usage errors on standard output and chooses exit codes
// of its own.
func (s *session) app() *cli.App {
	app := &cli.App{
		Name:            "natspread",
		Usage:           "balance connections with the kernel's nat table, and keep it across reboots",
		UsageText:       "natspread VERB [flags]",
		Version:         version(),
		HideVersion:     true, // it would take -v; the verb version prints it
		HideHelpCommand: false,
		Writer:          s.out,
		ErrWriter:       s.err,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    onUsageError,
		Action:          noVerb,
		Description: "One TOML file names services and their backends. natspread turns it into a nat\n" +
			"table, proves it in a scratch network namespace, loads it beside everyone else's\n" +
			"rules, and puts it back at every boot.\n\n" +
			"Example:\n" +
			"  natspread init && natspread check && natspread apply && natspread status",
	}
	app.Commands = []*cli.Command{
		s.initVerb(), s.checkVerb(), s.renderVerb(), s.diffVerb(), s.applyVerb(),
		s.restoreVerb(), s.statusVerb(), s.stopVerb(), s.installVerb(), s.uninstallVerb(),
		s.versionVerb(),
	}
	return app
}

// verb completes a command with what all of them have: the common flags, an
// example, and words on usage errors. A verb takes no arguments, only flags.
func verb(command *cli.Command, example string, action func(context.Context, options) error) *cli.Command {
	command.Flags = append(command.Flags, commonFlags()...)
	command.UsageText = "natspread " + command.Name + " [flags]"
	command.Description += "\n\nExample:\n  " + example
	command.HideHelpCommand = true
	command.OnUsageError = onUsageError
	command.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return usageErrorf("%s takes no argument %q: see natspread %s --help", command.Name, c.Args().First(), command.Name)
		}
		chosen, err := optionsOf(c)
		if err != nil {
			return err
		}
		return action(c.Context, chosen)
	}
	return command
}

// onUsageError turns a complaint of the flag parser into ours.
func onUsageError(c *cli.Context, err error, _ bool) error {
	where := "natspread --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "natspread" {
		where = "natspread " + c.Command.Name + " --help"
	}
	return usageErrorf("%v: see %s", err, where)
}

// noVerb says what to type when nothing was.
func noVerb(c *cli.Context) error {
	if c.Bool("help") {
		return cli.ShowAppHelp(c)
	}
	return usageErrorf("which verb? see natspread --help")
}

// version returns the version that the build wrote into the program, "devel"
// for one built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if stamped := buildVersion; stamped != "" {
		return stamped
	}
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// buildVersion is set by the linker: -X main.buildVersion=1.2.3.
var buildVersion string

// errSilent is an exit code without words: everything was said already.
var errSilent = errors.New("")
