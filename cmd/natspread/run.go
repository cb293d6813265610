package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/console"
	"natspread/internal/program"
	"natspread/internal/suggest"
	"natspread/internal/terminal"
)

// session is what the verbs share in one run of the program.
type session struct {
	console.Console
	common                                         // the flags that every verb takes
	runner  program.Runner                         // the one way to run programs
	locks   *program.Locks                         // those that these programs share; nil in tests without processes
	connect func(context.Context) (systemd, error) // the one way to the running systemd
	changes bool                                   // the verb may have made a generation
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

	s.Line = terminal.NewLine(s.Err)
	defer s.Line.Clear()
	err := s.dispatch(ctx, args)
	s.complain(err)
	s.printFailure(args, err)
	s.prune(ctx)
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

// dispatch does what is asked for, or prints the help that is.
func (s *session) dispatch(ctx context.Context, args []string) error {
	help, err := s.program().Run(ctx, args)
	if err != nil || help == "" {
		return err
	}
	return s.Print(help)
}

// program describes the command line.
func (s *session) program() cmdline.Program {
	return cmdline.Program{
		Name:  "natspread",
		Usage: "balance connections with the kernel's nat table, across reboots",
		Description: "One TOML file names services and backends. natspread makes it a nat table,\n" +
			"proves it, loads it beside the rules of others, and again at every boot.\n\n" +
			"Example:\n" +
			"  natspread init --listen \"$(hostname -I | cut -d ' ' -f 1):80\" \\\n" +
			"    --backend 10.0.0.1:80 --backend 10.0.0.2:80\n" +
			"  natspread check && natspread apply && natspread status",
		Verbs: []*cli.Command{
			s.initVerb(), s.adoptVerb(), s.editVerb(), s.checkVerb(), s.selftestVerb(), s.renderVerb(), s.diffVerb(), s.applyVerb(),
			s.confirmVerb(), s.drainVerb(), s.undrainVerb(), s.historyVerb(), s.rollbackVerb(), s.restoreVerb(), s.statusVerb(),
			s.doctorVerb(), s.healthVerb(), s.stopVerb(), s.installVerb(), s.uninstallVerb(),
			s.completionVerb(), s.manVerb(), s.versionVerb(),
		},
		Flags:  commonFlags(),
		Read:   s.readCommon,
		Exits:  exitCodes(),
		Habits: suggest.Habits(),
	}
}
