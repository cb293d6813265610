package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// scriptCommand is a command that scripts have beyond testscript's own.
type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

// scriptCommands returns those commands by name.
func scriptCommands() map[string]scriptCommand {
	return map[string]scriptCommand{
		"exits":     exits,
		"complains": complains,
		"mask":      mask,
		"json":      printsJSON,
		"snapshot":  snapshot,
		"lock":      lock,
		"gone":      gone,
		"until":     until,
		"serve":     serve,
		"machine":   machine,
		"replace":   replace,
		"hide":      hide,
		"readonly":  readonly,
		"small":     small,
	}
}

// usage ends a script whose command is typed wrong.
func usage(ts *testscript.TestScript, neg bool, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// exits runs a program and wants this very exit code; testscript's own ! takes any.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits CODE PROGRAM [ARGUMENT...]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code is %d, not %d", code, want)
	}
}

// complains wants the last program to have printed nothing on standard output, and
// on standard error one line, natspread's, that matches.
func complains(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "complains REGEXP")
	out, words := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if out != "" {
		ts.Fatalf("standard output is not empty")
	}
	if !strings.HasPrefix(words, "natspread: ") || strings.Count(words, "\n") != 1 || !strings.HasSuffix(words, "\n") {
		ts.Fatalf("standard error is not one line of natspread's")
	}
	if !regexp.MustCompile("(?m)" + args[0]).MatchString(words) {
		ts.Fatalf("standard error does not match %q", args[0])
	}
}

// number is a JSON number that is a value of its own, not part of a string.
var number = regexp.MustCompile(`(: |^ +)-?[0-9][0-9.e+-]*(,?)\n`)

// mask writes standard output into a file, with N for every number, T for
// the time of the apply and V for the version.
func mask(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "mask FILE")
	masked := number.ReplaceAllString(ts.ReadFile("stdout"), "${1}N$2\n")
	masked = regexp.MustCompile(`(?m)^  "applied": ".*"`).ReplaceAllString(masked, `  "applied": "T"`)
	masked = regexp.MustCompile(`(?m)^  "version": ".*"`).ReplaceAllString(masked, `  "version": "V"`)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(masked), 0o644))
}

// printsJSON wants standard output to be exactly one JSON value, and the end of its
// line.
func printsJSON(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 0, "json")
	out := ts.ReadFile("stdout")
	var buffer bytes.Buffer
	if err := json.Indent(&buffer, []byte(out), "", "  "); err != nil {
		ts.Fatalf("standard output is no JSON: %v", err)
	}
	if buffer.String() != out || !strings.HasSuffix(out, "}\n") {
		ts.Fatalf("standard output is not one indented JSON object on lines of its own")
	}
}

// gone waits until there is no such file, which for what has a time of its own may
// take some seconds.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "gone FILE")
	there := exists(ts.MkAbs(args[0]))
	if !within(hangBound, func() bool { return !there() }) {
		ts.Fatalf("%s is there still after %v", args[0], hangBound)
	}
}

// until runs a program again and again until its standard output matches, whatever its exit code is.
func until(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "until REGEXP PROGRAM [ARGUMENT...]")
	wanted := regexp.MustCompile("(?m)" + args[0])
	matches := func() bool {
		_ = ts.Exec(args[1], args[2:]...)
		return wanted.MatchString(ts.ReadFile("stdout"))
	}
	if !within(hangBound, matches) {
		ts.Fatalf("standard output does not match %q after %v", args[0], hangBound)
	}
}

// serve runs a program while the first address, which becomes the host's own, takes
// connections over TCP.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2 && scriptCommands()[args[1]] != nil, "serve ADDRESS:PORT COMMAND [ARGUMENT...]")
	to, err := netip.ParseAddrPort(args[0])
	ts.Check(err)
	ts.Check(ts.Exec("ip", "route", "replace", "local", to.Addr().String(), "dev", "lo"))
	listener, err := net.Listen("tcp", args[0])
	ts.Check(err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	scriptCommands()[args[1]](ts, false, args[2:])
}

// lock holds natspread's own lock below $WORK/root for as long as the program that
// it runs takes: lock exits 75 natspread apply.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1 && scriptCommands()[args[0]] != nil, "lock COMMAND [ARGUMENT...]")
	dir := ts.MkAbs("root/run/natspread")
	ts.Check(os.MkdirAll(dir, 0o755))
	file, err := os.OpenFile(dir+"/lock", os.O_CREATE|os.O_RDWR, 0o600)
	ts.Check(err)
	defer file.Close()
	ts.Check(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	scriptCommands()[args[0]](ts, false, args[1:])
}
