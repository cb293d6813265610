package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"pgregory.net/rapid"

	"natspread/internal/config/edit"
	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/killtest"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// walkVerb is a verb, and what has to come of it.
type walkVerb struct {
	args  []string
	code  int       // how it ends
	then  walkModel // what is true then
	loads *string   // the config whose rules are loaded then; nil where the tables stay as they are
	found string    // the forwarding switches that it goes back to; "" where it switches on what loads needs
}

// refused is a verb that changes nothing.
func (w *walk) refused(code int, args ...string) walkVerb {
	return walkVerb{args: args, code: code, then: w.model}
}

// applied is a verb that leaves a file, and applies a config: a new generation, unless boot
// loads that one already.
func (w *walk) applied(file, cfg string, args ...string) walkVerb {
	then := w.model
	if then.config = file; !then.linked || then.boot() != cfg {
		then = then.keeps(cfg)
	}
	return walkVerb{args: args, then: then, loads: &cfg}
}

// verbs are the verbs by their names, each drawn and judged before it is run.
func (w *walk) verbs() map[string]func(now walkKernel) walkVerb {
	return map[string]func(now walkKernel) walkVerb{
		"apply": func(walkKernel) walkVerb { return w.apply() }, "try": w.try, "confirm": w.confirm,
		"rollback": func(walkKernel) walkVerb { return w.rollback() }, "overdue": func(walkKernel) walkVerb { return w.overdue() },
		"drain":   func(walkKernel) walkVerb { return w.drain("drain") },
		"undrain": func(walkKernel) walkVerb { return w.drain("undrain") },
		"restore": func(walkKernel) walkVerb { return w.restore() },
		"stop":    func(walkKernel) walkVerb { return w.stop() },
	}
}

// apply applies the file.
func (w *walk) apply() walkVerb {
	switch {
	case isWrong(w.model.config):
		return w.refused(exitConfig, "apply")
	case w.model.trial != "":
		return w.refused(exitFailed, "apply")
	}
	return w.applied(w.model.config, w.model.config, "apply")
}

// try applies the file for an hour.
func (w *walk) try(now walkKernel) walkVerb {
	args := []string{"apply", "--confirm", "1h"}
	switch {
	case isWrong(w.model.config):
		return w.refused(exitConfig, args...)
	case w.model.trial != "":
		return w.refused(exitFailed, args...)
	case w.model.linked && w.model.boot() == w.model.config && w.holds(now, w.model.config):
		return w.refused(exitDone, args...)
	}
	then := w.model
	then.trial, then.late, then.before = then.config, false, jumps.MatchString(now.own[rules.IPv4]+now.own[rules.IPv6])
	then.forward = now.forwarding
	return walkVerb{args: args, then: then, loads: &then.config}
}

// confirm keeps what is tried, where the kernel still holds it.
func (w *walk) confirm(now walkKernel) walkVerb {
	trial := w.model.trial
	if trial == "" || now.own != w.textsOf(trial) {
		return w.refused(exitFailed, "confirm")
	}
	then := w.model.keeps(trial)
	then.trial = ""
	return walkVerb{args: []string{"confirm"}, then: then, loads: &trial}
}

// rollback ends a trial, or applies the generation before the one that boot loads.
func (w *walk) rollback() walkVerb {
	switch {
	case w.model.trial != "":
		return w.reverted("rollback")
	case !w.model.linked || len(w.model.kept) < 2:
		return w.refused(exitFailed, "rollback")
	}
	return w.applied(w.model.config, w.model.kept[len(w.model.kept)-2], "rollback")
}

// reverted loads what boot loads, or nothing where nothing was loaded before the trial.
// Forwarding is what it was before the trial, but stays off where others switched it off.
func (w *walk) reverted(args ...string) walkVerb {
	v := walkVerb{args: args, then: w.model, loads: new(string), found: w.model.forward}
	v.then.trial = ""
	if w.model.before {
		*v.loads = w.model.boot()
		v.code = w.fallback()
	}
	return v
}

// fallback returns how a verb ends that loads what boot loads: it fails where it had to look
// for that.
func (w *walk) fallback() int {
	if len(w.model.kept) > 0 && !w.model.linked {
		return exitFailed
	}
	return exitDone
}

// overdue makes the time of the trial be over: the timer is played by the one who runs it. A
// fallback is nothing that it would try only once.
func (w *walk) overdue() walkVerb {
	args := []string{"rollback", "--overdue"}
	if w.model.trial == "" || w.fallback() != exitDone {
		w.drawn.Skip("there is no trial whose revert ends well")
	}
	w.endTimers()
	record := filepath.Join(w.root, generation.PendingRecord)
	text, err := os.ReadFile(record)
	hosttest.Must(w, err)
	hosttest.Must(w, os.WriteFile(record, regexp.MustCompile(`"until":\d+`).ReplaceAll(text, []byte(`"until":1`)), 0o600))
	w.model.late = true
	return w.reverted(args...)
}

// drain drains one of the file's backends, or gives it new connections again.
func (w *walk) drain(verb string) walkVerb {
	if isWrong(w.model.config) {
		return w.refused(exitConfig, verb, "10.0.0.1:80")
	}
	var all []string
	for _, service := range hosttest.Config(w, w.model.config).Services {
		for _, backend := range service.Backends {
			all = append(all, service.Name+" "+backend.AddrPort().String())
		}
	}
	service, backend, _ := strings.Cut(rapid.SampledFrom(all).Draw(w.drawn, "backend"), " ")
	args := []string{verb, service, backend}
	text, _, err := edit.SetDrain(configfiles.Alone("natspread.toml", []byte(w.model.config)), service, backend, verb == "drain", nil)
	hosttest.Must(w, err)
	if w.model.trial != "" || !w.model.linked {
		return w.refused(exitFailed, args...)
	}
	same, _, err := edit.SetDrain(configfiles.Alone("current", []byte(w.model.boot())), service, backend, verb == "drain", nil)
	if err != nil || !hosttest.Config(w, string(same.Main())).Equivalent(hosttest.Config(w, string(text.Main()))) {
		return w.refused(exitFailed, args...) // there is another change in the file
	}
	return w.applied(string(text.Main()), string(text.Main()), args...)
}

// restore loads what boot loads.
func (w *walk) restore() walkVerb {
	if len(w.model.kept) == 0 {
		return w.refused(exitFailed, "restore")
	}
	boot, then := w.model.boot(), w.model
	then.trial = ""
	return walkVerb{args: []string{"restore"}, code: w.fallback(), then: then, loads: &boot}
}

// stop takes the rules out.
func (w *walk) stop() walkVerb {
	then := w.model
	then.trial = ""
	return walkVerb{args: []string{"stop"}, then: then, loads: new(string)}
}

// drawVerb draws a verb.
func (w *walk) drawVerb(now walkKernel) walkVerb {
	verbs := w.verbs()
	return verbs[rapid.SampledFrom(slices.Sorted(maps.Keys(verbs))).Draw(w.drawn, "verb")](now)
}

// runs runs a verb to its end.
func (w *walk) runs(v walkVerb) {
	before := w.read()
	got := w.program(natspreadCommand(w, "natspread", w.args(v.args)...))
	got.want(w, v.code)
	w.model = v.then
	w.wantLoaded(v, before)
}

// program runs a program to its end.
func (w *walk) program(cmd *exec.Cmd) outcome {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		w.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: stdout.String(), err: stderr.String()}
}

// wantLoaded asks that the kernel holds what a verb loads, which has come to its end.
func (w *walk) wantLoaded(v walkVerb, before walkKernel) {
	now := w.read()
	switch {
	case v.loads == nil:
		if now != before {
			w.Errorf("natspread %q changed the kernel: %+v, was %+v", v.args, now, before)
		}
	case v.found != "" && *v.loads != "":
		if now.own != w.textsOf(*v.loads) || now.forwarding != v.found {
			w.Errorf("natspread %q left %+v, and forwarding is to be %s", v.args, now, v.found)
		}
	case !w.holds(now, *v.loads):
		w.Errorf("natspread %q left %+v", v.args, now)
	}
}

// isKilled kills the verb at one of its system calls, or what it runs, and lets the model
// know how far it came.
func (w *walk) isKilled(v walkVerb) {
	at := killtest.Point{
		Nth:    rapid.IntRange(1, 80).Draw(w.drawn, "call"),
		Victim: rapid.SampledFrom([]killtest.Victim{killtest.Program, killtest.Caller}).Draw(w.drawn, "victim"),
	}
	before := w.seen()
	cmd := natspreadCommand(w, "natspread", w.args(v.args)...)
	own := slices.Clone(cmd.Args)
	var run killtest.Run
	var err error
	netnstest.OnThread(func() {
		run, err = killtest.Trace(cmd, at, func(args []string) bool { // a trial's timer goes on
			return slices.Contains(args, "--overdue") && !slices.Equal(args, own)
		})
	})
	hosttest.Must(w, err)
	w.Logf("killed at %v, exit code %d", run.At(), run.Code)
	if len(run.After) > 0 {
		w.Errorf("what the dead natspread had begun went on: %v", run.After)
	}
	w.settle(v, before)
}

// isFaulty has one system call of the verb, or of what it runs, fail.
func (w *walk) isFaulty(v walkVerb) {
	if slices.Contains(v.args, "--confirm") {
		w.drawn.Skip("strace would wait for the timer")
	}
	needed, err := exec.LookPath("strace")
	hosttest.Must(w, err)
	call := rapid.SampledFrom([]string{"fsync", "renameat", "symlinkat", "mkdirat", "unlinkat", "sendto", "sendmsg", "setsockopt", "flock"}).Draw(w.drawn, "call")
	nth := strconv.Itoa(rapid.IntRange(1, 20).Draw(w.drawn, "nth"))
	before := w.seen()
	natspread := natspreadCommand(w, "natspread", w.args(v.args)...)
	args := append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + call + ":error=EIO:when=" + nth, natspread.Path}, natspread.Args[1:]...)
	got := w.program(exec.Command(needed, args...))
	w.Logf("exit code %d: %s", got.code, got.err)
	if got.code != exitDone && strings.Contains(got.err, "nothing was changed") {
		v.then, v.loads = w.model, nil
	}
	if got.code == exitDone { // first: a trial that cannot be read is ended below, which loads what was before it
		w.wantLoaded(v, before.walkKernel)
	}
	w.settle(v, before)
}

// walkSight is what is seen of a host before a verb that may not come to its end.
type walkSight struct {
	walkKernel
	current int // the generation that the link leads to, 0 without
	newest  int // of those that boot may load, 0 for none
}

// seen looks at the host.
func (w *walk) seen() walkSight {
	store := generation.Store{Root: w.root}
	sight := walkSight{walkKernel: w.read()}
	sight.current, _ = store.CurrentNumber()
	numbers, err := store.Numbers()
	hosttest.Must(w, err)
	if len(numbers) > 0 {
		sight.newest = numbers[0]
	}
	return sight
}

// settle takes from the host how far a verb came: each table, the config, what boot loads
// and what waits are old or new. What the model takes over, check compares.
func (w *walk) settle(v walkVerb, before walkSight) {
	now, loads := w.seen(), before.own
	if v.loads != nil {
		loads = w.textsOf(*v.loads)
	}
	for i, own := range now.own {
		if own != before.own[i] && own != loads[i] {
			w.Errorf("table %d is neither the old one nor the new one:\n%s", i, own)
		}
	}
	if text, err := os.ReadFile(filepath.Join(w.root, paths.Config)); err == nil && string(text) == v.then.config {
		w.model.config = v.then.config
	}
	if now.newest != before.newest { // without a link boot loads what an apply was about to make current
		w.model.kept, w.model.linked = v.then.kept, now.current != 0
	}
	w.settleTrial(v, now)
}

// settleTrial takes from the host what waits to be confirmed. A confirm that was killed when
// boot may load its generation has only that to do again.
func (w *walk) settleTrial(v walkVerb, now walkSight) {
	store := generation.Store{Root: w.root}
	pending, err := store.Pending()
	switch {
	case err != nil:
		w.model.trial = ""
		return
	case pending.Number == now.newest:
		w.natspread("confirm").want(w, exitDone)
		w.model.trial, w.model.linked = "", true
		return
	}
	waiting, err := store.ReadPending(pending.Number)
	if err != nil { // the disk took no more of its files away: there is the record, to do it again
		if w.model.trial == "" { // a try that failed, and went back
			w.model.before = v.then.before
		}
		w.natspread("rollback").want(w, w.reverted().code)
		w.model.trial = ""
		return
	}
	switch string(waiting.Config.Main()) {
	case w.model.trial:
	case v.then.trial:
		w.model.trial, w.model.late, w.model.before, w.model.forward = v.then.trial, v.then.late, v.then.before, v.then.forward
	default:
		w.Errorf("generation %d waits to be confirmed, and nobody tried it", pending.Number)
	}
}

// others are what others do to the host.
func (w *walk) others() map[string]func() {
	chain := func(line, has string) func() {
		return func() {
			if strings.Contains(w.read().own[rules.IPv4], has) {
				hosttest.IPTables(w, w.variant, rules.IPv4, line)
			}
		}
	}
	return map[string]func(){
		"add a rule": func() {
			hosttest.IPTables(w, w.variant, rules.IPv4, foreignRule)
			w.model.foreign++
		},
		"delete a rule": func() {
			if w.model.foreign > 0 {
				hosttest.IPTables(w, w.variant, rules.IPv4, strings.Replace(foreignRule, "-A", "-D", 1))
				w.model.foreign--
			}
		},
		"flush a chain": chain("-F NATSPREAD-PRE", ":NATSPREAD-PRE "),
		"delete a jump": chain("-D OUTPUT -j NATSPREAD-OUT", "-A OUTPUT -j NATSPREAD-OUT\n"),
		"forwarding": func() {
			hosttest.SetForwarding(w, "0"+hosttest.Forwarding(w)[1:])
			if w.model.trial != "" {
				w.model.forward = "0" + w.model.forward[1:]
			}
		},
		"the link current": func() {
			if w.model.linked && !w.isNumbered(w.seen().current+1) {
				hosttest.Must(w, os.Remove(filepath.Join(w.root, paths.Current)))
				w.model.linked = false
			}
		},
	}
}

// isNumbered tells whether a generation has that number. Above current it is one whose apply
// was killed between its two last steps. Without the link nobody can tell that it was never
// current.
func (w *walk) isNumbered(number int) bool {
	return exists(filepath.Join(w.root, paths.Generations, strconv.Itoa(number)))()
}

// steps are all that may be done to the host, and what must be true after each.
func (w *walk) steps() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":      func(*rapid.T) { w.check() },
		"verb":  func(*rapid.T) { w.runs(w.drawVerb(w.read())) },
		"kill":  func(*rapid.T) { w.isKilled(w.drawVerb(w.read())) },
		"fault": func(*rapid.T) { w.isFaulty(w.drawVerb(w.read())) },
		"edit": func(*rapid.T) {
			w.model.config = walkConfigs()[rapid.IntRange(0, len(walkConfigs())-1).Draw(w.drawn, "config")]
			writeFile(w, filepath.Join(w.root, paths.Config), w.model.config)
		},
		"others": func(*rapid.T) {
			others := w.others()
			others[rapid.SampledFrom(slices.Sorted(maps.Keys(others))).Draw(w.drawn, "others")]()
		},
	}
}

// endTimers ends the processes that wait to revert a trial of this host.
func (w *walk) endTimers() {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	hosttest.Must(w, err)
	for _, name := range names {
		line, _ := os.ReadFile(name) // empty for one that has ended
		if !strings.Contains(string(line), w.root+"\x00rollback\x00--overdue") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		hosttest.Must(w, err)
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}
