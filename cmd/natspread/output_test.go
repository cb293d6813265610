package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/adopt"
	"natspread/internal/console"
	"natspread/internal/paths"
	"natspread/internal/report"
	"natspread/internal/selftest"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/trace"
	"natspread/internal/watcher"
)

// outputCase is a run that ends well, and what it has for standard output.
type outputCase struct {
	verb   string
	args   []string
	prints bool // data without --json; the rest goes to standard error
	silent bool // nothing on standard error
	result any  // what --json prints
}

// articleNetwork gives a host the addresses of article's balancer.
const articleNetwork = `link add front type veth peer name back
address add 192.0.2.10/24 dev front
address add 10.0.0.254/24 dev back
link set front up
link set back up
`

// outputCases are one for each verb, in an order in which each ends well.
func outputCases(dir string) []outputCase {
	image := filepath.Join(dir, "image")
	config := filepath.Join(image, paths.Config)
	return []outputCase{
		{verb: "version", prints: true, silent: true, result: new(versionResult)},
		{verb: "man", prints: true, silent: true, result: new(manResult)},
		{verb: "completion", args: []string{"fish"}, prints: true, silent: true, result: new(completionResult)},
		{verb: "init", args: []string{"--config", filepath.Join(dir, "new.toml")}, result: new(initResult)},
		{verb: "edit", result: new(changeResult)}, // which changes nothing
		{verb: "adopt", args: []string{filepath.Join(dir, "old.rules"), "--listen", "192.0.2.10"}, prints: true, result: new(adopt.Report)},
		{verb: "check", result: new(checkResult)},
		{verb: "selftest", prints: true, result: new(selftest.Result)},
		{verb: "render", prints: true, silent: true, result: new(renderResult)},
		{verb: "render", args: []string{"--dot"}, prints: true, silent: true, result: new(renderResult)},
		{verb: "render", args: []string{"--explain", "192.0.2.10:80"}, prints: true, silent: true, result: new(trace.ExplanationResult)},
		{verb: "apply", args: []string{"--dry-run"}, prints: true, result: new(changeResult)},
		{verb: "apply", result: new(changeResult)},
		{verb: "diff", prints: true, result: new(report.Diff)},
		{verb: "status", prints: true, silent: true, result: new(report.Status)},
		{verb: "health", args: []string{"--once"}, prints: true, result: new(watcher.Report)}, // that there is no check is said
		{verb: "doctor", prints: true, silent: true, result: new(doctorResult)},
		{verb: "stop", result: new(changeResult)},
		{verb: "apply", args: []string{"--confirm", "1h"}, result: new(changeResult)},
		{verb: "confirm", result: new(changeResult)},
		{verb: "drain", args: []string{"web", "10.0.0.1:80"}, result: new(drainResult)},
		{verb: "undrain", args: []string{"web", "10.0.0.1:80"}, result: new(drainResult)},
		{verb: "history", prints: true, silent: true, result: new(report.History)},
		{verb: "rollback", args: []string{"1"}, result: new(changeResult)},
		{verb: "restore", result: new(changeResult)},
		{verb: "stop", result: new(changeResult)},
		{verb: "install", args: []string{"--root", image, "--config", config}, result: new(installResult)},
		{verb: "uninstall", args: []string{"--root", image}, result: new(installResult)},
	}
}

// Standard output is data and standard error is words, in every verb: -q silences
// all words of a run that ends well, and --json makes the data one object of the
// shape that is written down, with nothing around it.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"-q"}, {"--json"}, {"--json", "-q"}} {
		t.Run(strings.Join(flags, ""), func(t *testing.T) {
			if !isolate(t) {
				return
			}
			hosttest.Must(t, os.Setenv("VISUAL", "true")) // an editor that changes nothing
			root := rootWith(t, article)
			netnstest.Self().Command(t, articleNetwork, "ip", "-batch", "-")
			for _, backend := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
				netnstest.Self().Command(t, "", "ip", "route", "add", "local", backend, "dev", "lo")
				netnstest.Serve(t, netnstest.Self(), "tcp", backend+":80")
			}
			writeFile(t, filepath.Join(root, "image", paths.Config), article)
			writeFile(t, filepath.Join(root, "old.rules"), "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"+
				"-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80\nCOMMIT\n")
			tried := map[string]bool{}
			var printed []printedAs
			for _, c := range outputCases(root) {
				tried[c.verb] = true
				args := append([]string{"--root", root, "--live", "--variant", "nft", c.verb}, append(c.args, flags...)...)
				got := inProcess(args...)
				c.check(t, got, flags)
				printed = append(printed, printedAs{c.definition(), json.RawMessage(got.out)})
			}
			if slices.Contains(flags, "--json") {
				failed := inProcess("--root", root, "--live", "check", "--json", "--config", "missing").want(t, exitConfig)
				fitSchema(t, append(printed, printedAs{definition("every verb that fails"), json.RawMessage(failed.out)}))
			}
			for _, command := range (&session{}).program().Verbs {
				if !tried[command.Name] {
					t.Errorf("%s was not tried", command.Name)
				}
			}
		})
	}
}

// printedAs is what a verb printed with --json, and what of docs/json.schema.json describes it.
type printedAs struct {
	Definition string          `json:"definition"`
	Object     json.RawMessage `json:"object"`
}

// definition is that of the verb, or of what it prints in place of that.
func (c outputCase) definition() string {
	if slices.Contains(c.args, "--explain") {
		return definition("render --explain")
	}
	return definition(c.verb)
}

// schemaJudge names each object that a JSON Schema does not take by its definition, and says why.
const schemaJudge = `
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
for printed in json.load(sys.stdin):
    judge = jsonschema.Draft202012Validator({"$ref": "#/$defs/" + printed["definition"], "$defs": schema["$defs"]})
    for error in judge.iter_errors(printed["object"]):
        print(printed["definition"], error.message)
`

// fitSchema has another program compare what was printed with the JSON Schema.
func fitSchema(t *testing.T, printed []printedAs) {
	t.Helper()
	data, err := json.Marshal(printed)
	hosttest.Must(t, err)
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", schemaJudge, filepath.Join(house, "docs/json.schema.json"))
	command.Stdin = bytes.NewReader(data)
	if said, err := command.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("%v: the schema does not take what was printed: %s", err, said)
	}
}

// check compares both outputs of one run.
func (c outputCase) check(t *testing.T, got outcome, flags []string) {
	t.Helper()
	asJSON, quiet := strings.Contains(strings.Join(flags, " "), "--json"), strings.Contains(strings.Join(flags, " "), "-q")
	if got.code != exitDone {
		t.Errorf("%s: exit code %d\n%s", c.verb, got.code, got.err)
	}
	if silent := got.err == ""; silent != (quiet || c.silent) {
		t.Errorf("%s: standard error is %q", c.verb, got.err)
	}
	if asJSON {
		c.checkJSON(t, got.out)
		return
	}
	// A diff of what is the same prints nothing.
	if c.prints && c.verb != "diff" && got.out == "" || !c.prints && got.out != "" {
		t.Errorf("%s: standard output is %q", c.verb, got.out)
	}
}

// checkJSON reads standard output strictly into the shape that is written down, and
// wants the same text back.
func (c outputCase) checkJSON(t *testing.T, text string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(c.result); err != nil {
		t.Errorf("%s: %v in %q", c.verb, err, text)
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("%s: more than one value: %q", c.verb, text)
	}
	var again bytes.Buffer
	_ = (&session{Console: console.Console{Out: &again}}).PrintJSON(c.result)
	if again.String() != text {
		t.Errorf("%s: some of %q is not in the shape, which gives %q", c.verb, text, again.String())
	}
	if strings.Contains(text, ": null") {
		t.Errorf("%s: a program would have to know null: %s", c.verb, text)
	}
}

// A reader that goes away early must not end natspread by a signal, between two
// steps of its work.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "natspread.toml"), article)
	for _, args := range [][]string{{"render"}, {"render", "--json"}, {"--help"}, {"version"}} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := natspreadCommand(t, "natspread", args...)
		if args[0] == "render" {
			cmd.Args = append(cmd.Args, "--config", filepath.Join(dir, "natspread.toml"))
		}
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &stderr
		err = cmd.Run()
		writer.Close()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.HasSuffix(stderr.String(), "broken pipe\n") {
			t.Errorf("natspread %s: %v, %q", strings.Join(args, " "), err, stderr.String())
		}
	}
}

// -v names each program that is run, with its path and how it ended.
func TestVerbose(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	got := inProcess("--root", root, "--live", "--variant", "nft", "apply", "-v").want(t, exitDone)
	for _, want := range []string{
		"(?m)^ran /usr/sbin/iptables-nft-restore .*: done after [0-9]+",
		"(?m)^ran /usr/sbin/iptables-nft-save .*: done after [0-9]+",
		"(?m)^applied generation 1",
	} {
		if !regexp.MustCompile(want).MatchString(got.err) {
			t.Errorf("no %q in:\n%s", want, got.err)
		}
	}
	if got.out != "" {
		t.Errorf("standard output is %q", got.out)
	}
	if quiet := inProcess("--root", root, "--live", "--variant", "nft", "status", "-v", "-q").want(t, exitDone); quiet.err != "" {
		t.Errorf("-q is not stronger than -v: %q", quiet.err)
	}
}
