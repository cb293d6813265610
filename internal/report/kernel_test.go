package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/change"
	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/health"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
	"natspread/restore"
	"natspread/restore/generation"
)

// balanced is a config of one service for each family. FORWARD lets the first one through.
const balanced = `[[service]]
name = "web"
listen = "192.0.2.10:80"
forward = "accept"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name = "plain"
listen = "192.0.2.10:81"
backends = ["10.0.0.1:81"]

[[service]]
name = "six"
listen = "[2001:db8::10]:80"
backends = ["[fd00::1]:80"]
`

// smaller is balanced with a backend less.
var smaller = strings.Replace(balanced, `, "10.0.0.2:80"`, "", 1)

// scene is a host with a network on both sides, and a config.
type scene struct {
	host    Host
	variant rules.Variant
	config  string // the text of the config file
	network *netnstest.Network
	unlock  func() // ends what checks the backends; nil where nothing does
}

// newScene builds the network and a root directory, in which boot starts natspread's unit.
func newScene(t *testing.T, variant rules.Variant) *scene {
	t.Helper()
	network := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
	root := t.TempDir()
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &scene{
		host:    New(restore.Host{Root: root, Run: program.Exec(), Variant: variant, Version: "test"}),
		variant: variant, config: balanced, network: network,
	}
	for _, path := range []string{"usr/lib/systemd/systemd", "etc/systemd/system/natspread.service", "etc/systemd/system/sysinit.target.wants/natspread.service", "etc/systemd/system/natspread-health.service"} {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("[Service]\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s.host.Config = func() (configfiles.Set, error) { return configfiles.Alone("natspread.toml", []byte(s.config)), nil }
	return s
}

// plan returns what the config file leads to.
func (s *scene) plan(t *testing.T) change.Plan {
	t.Helper()
	plan, err := change.Parse("natspread.toml", configfiles.Alone("natspread.toml", []byte(s.config)))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// store returns the generations of the host.
func (s *scene) store() generation.Store { return generation.Store{Root: s.host.Restore.Root} }

// apply applies the config file.
func (s *scene) apply(t *testing.T) restore.Result {
	t.Helper()
	result, err := s.host.Restore.Apply(t.Context(), s.plan(t).Request("apply"))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// try loads a config that waits to be confirmed, for some time.
func (s *scene) try(t *testing.T, text string, left time.Duration) {
	t.Helper()
	s.config = text
	schedule := func(context.Context, time.Duration) (func(context.Context), error) {
		return func(context.Context) {}, nil
	}
	if _, err := s.host.Restore.Try(t.Context(), s.plan(t).Request("apply --confirm"), restore.Trial{For: time.Hour, Schedule: schedule}); err != nil {
		t.Fatal(err)
	}
	pending, err := s.store().Pending()
	if err != nil {
		t.Fatal(err)
	}
	pending.Until = generation.SinceBoot() + left
	if err := s.store().RecordPending(pending); err != nil {
		t.Fatal(err)
	}
}

// sh types lines on the host. IPTABLES and IP6TABLES are the programs of the variant in
// use, OTHER is that of the other one, ROOT the root directory.
func (s *scene) sh(t *testing.T, lines string) string {
	t.Helper()
	return netnstest.Self().Command(t, strings.NewReplacer(
		"IPTABLES", rules.Program(rules.IPv4, s.variant, ""), "IP6TABLES", rules.Program(rules.IPv6, s.variant, ""),
		"OTHER", rules.Program(rules.IPv4, s.variant.Other(), ""), "ROOT", s.host.Restore.Root,
	).Replace(lines), "sh", "-e")
}

// everything returns the rules of both variants, the switches, and the files below the root
// with their times.
func (s *scene) everything(t *testing.T) string {
	t.Helper()
	all := s.sh(t, "nft list ruleset; iptables-legacy-save; ip6tables-legacy-save; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names /proc/sys/net/ipv[46]/conf/*/forwarding")
	err := filepath.WalkDir(s.host.Restore.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		all += fmt.Sprintln(path, info.Mode(), info.Size(), info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return uncommented(all)
}

// uncommented leaves out the lines in which iptables-save tells the time.
func uncommented(saved string) string {
	var kept strings.Builder
	for line := range strings.Lines(saved) {
		if !strings.HasPrefix(line, "#") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// seen is what each of those says that speak of a host.
type seen struct {
	report    Report
	diff      Diff
	examined  []doctor.Finding
	remaining []doctor.Finding // for the config file, as apply asks
}

// see asks all of them.
func (s *scene) see(t *testing.T) seen {
	t.Helper()
	examined, err := s.host.Examine(t.Context(), Judged{Config: s.plan(t).Config})
	if err != nil {
		t.Fatal(err)
	}
	return seen{s.read(t), s.diff(t), examined, s.remaining(t)}
}

// read returns what status says.
func (s *scene) read(t *testing.T) Report {
	t.Helper()
	report, err := s.host.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// diff compares the host with the config file, in both families or in some.
func (s *scene) diff(t *testing.T, families ...rules.Family) Diff {
	t.Helper()
	if families == nil {
		families = rules.Families()
	}
	plan := s.plan(t)
	diff, err := s.host.Diff(t.Context(), Wanted{Name: plan.Name, Config: plan.Config, Files: plan.Files, Tables: plan.Tables, Families: families})
	if err != nil {
		t.Fatal(err)
	}
	return diff
}

// remaining returns what would be noted after an apply of the config file.
func (s *scene) remaining(t *testing.T) []doctor.Finding {
	t.Helper()
	plan := s.plan(t)
	way, _, err := s.host.remaining(t.Context(), plan.Config, familiesOf(plan.Tables))
	if err != nil {
		t.Fatal(err)
	}
	return append(way.Found, s.host.Unwatched(t.Context(), plan.Config.Services)...)
}

// whats returns what was found.
func whats(found []doctor.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.What)
	}
	return all
}

// agree fails unless all that speak of a host say the same of it.
func (is seen) agree(t *testing.T, edited bool) {
	t.Helper()
	never := errors.Is(is.report.Status.Wanted.Fallback, generation.ErrNone)
	inSync, broken := is.report.State == InSync, whats(Broken(is.report.Findings))
	if inSync != (len(broken) == 0) && !(never && is.report.State == NotLoaded) {
		t.Errorf("status says %s, and finds %q", is.report.State, broken)
	}
	if is.diff.Differ != (!inSync || edited) {
		t.Errorf("status says %s, and diff differs: %v\n%s", is.report.State, is.diff.Differ, is.diff.Text(plain(), true))
	}
	if is.report.Unapplied && !is.diff.Differ && is.diff.outdated == "" {
		t.Error("status says that changes are not applied, and diff finds none")
	}
	if found := whats(Broken(is.examined)); inSync != (len(found) == 0) && !(never && is.report.State == NotLoaded) {
		t.Errorf("status says %s, and doctor finds %q", is.report.State, found)
	}
	var differs []string
	for _, f := range is.diff.Findings {
		differs = append(differs, f.What)
	}
	if !slices.Equal(differs, broken) {
		t.Errorf("status finds %q, diff %q", broken, differs)
	}
	examined := whats(is.examined)
	for _, what := range whats(is.report.Findings) {
		if !slices.Contains(examined, what) {
			t.Errorf("status finds %q, doctor does not", what)
		}
	}
	for _, f := range Broken(is.remaining) {
		if is.report.Status.Loaded && !slices.Contains(broken, f.What) {
			t.Errorf("a note after apply would be %q, status does not say it", f.What)
		}
	}
	slices.Sort(examined)
	if once := slices.Compact(slices.Clone(examined)); len(once) != len(examined) {
		t.Errorf("doctor says something twice: %q", examined)
	}
}

// onHost runs a test for a fault and each variant, in a scene of its own.
func onHost(t *testing.T, f fault, test func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		if f.only != "" && f.only != rules.Variant(variant) {
			continue
		}
		t.Run(variant, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			s := newScene(t, rules.Variant(variant))
			if !f.never {
				s.apply(t)
			}
			if f.make != nil {
				f.make(t, s)
			}
			s.sh(t, f.lines)
			test(t, s)
		})
	}
}

// TestOneVerdict makes each fault, and asks status, diff, doctor and apply what they say of
// it: the same. Then it does what the findings say, one after the other, and each of them is
// gone after that.
func TestOneVerdict(t *testing.T) {
	for i, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			onHost(t, f, func(t *testing.T, s *scene) {
				before := s.everything(t)
				is := s.see(t)
				if diff := cmp.Diff(before, s.everything(t)); diff != "" {
					t.Errorf("to look changed something: -before +after:\n%s", diff)
				}
				if is.report.State != f.state {
					t.Errorf("status says %s, not %s", is.report.State, f.state)
				}
				wantFindings(t, is.report.Findings, s.words(f.want)...)
				if remaining := whats(Broken(is.remaining)); is.report.Status.Loaded && len(remaining) != f.remain {
					t.Errorf("apply would note %q", remaining)
				}
				is.agree(t, f.edited)
				s.fix(t, f, is, testsize.Takes(i, 3))
			})
		})
	}
}

// words puts the names of the variants in the place of VARIANT and OTHER, and the root directory in that of ROOT.
func (s *scene) words(want []string) []string {
	replace := strings.NewReplacer("VARIANT", string(s.variant), "OTHER", string(s.variant.Other()), "ROOT", s.host.Restore.Root)
	all := slices.Clone(want)
	for i := range all {
		all[i] = replace.Replace(all[i])
	}
	return all
}

// mostFixes bounds how many lines are typed for one fault.
const mostFixes = 8

// fix types the line of the worst finding of what was seen, until nothing is broken. All that speak of
// the host are asked then, or only status: what is fixed is mostly the host that it was before.
func (s *scene) fix(t *testing.T, f fault, is seen, all bool) {
	t.Helper()
	for range mostFixes {
		broken := Broken(is.report.Findings)
		if len(broken) == 0 {
			if all {
				is.agree(t, f.edited)
			}
			if is.report.State != f.after() {
				t.Errorf("after all it is %s", is.report.State)
			}
			return
		}
		s.typeLine(t, broken[0].Fix)
		if is.report = s.read(t); all && len(Broken(is.report.Findings)) == 0 {
			is = s.see(t)
		}
		if slices.Contains(whats(is.report.Findings), broken[0].What) {
			t.Fatalf("%s does not fix %s", broken[0].Fix, broken[0].What)
		}
	}
	t.Errorf("%d lines fixed not everything", mostFixes)
}

// typeLine does what a line says: a verb of natspread's by the call that it makes, any other
// line by the shell. A line of the config goes into that, and is applied.
func (s *scene) typeLine(t *testing.T, line string) {
	t.Helper()
	host := s.host.Restore
	watch := func(context.Context) (restore.Result, error) {
		s.watch(t)
		return restore.Result{}, nil
	}
	verbs := map[string]func(context.Context) (restore.Result, error){
		"systemctl enable --now natspread-health": watch, "systemctl restart natspread-health": watch,
		fixRestore: host.Restore, fixRollback: host.Revert, fixConfirm: host.Confirm, fixStop: host.Stop,
		doctor.FixApply: func(ctx context.Context) (restore.Result, error) { return host.Apply(ctx, s.plan(t).Request("apply")) },
	}
	if within, inConfig := strings.CutPrefix(line, "natspread edit # in service "); inConfig {
		_, words, _ := strings.Cut(within, ": ")
		key, _, _ := strings.Cut(words, " ")
		s.config = regexp.MustCompile("(?m)^"+key+" = .*$").ReplaceAllString(s.config, words)
		line = doctor.FixApply
	}
	for one := range strings.SplitSeq(line, " && ") {
		verb, ours := verbs[one]
		if !ours {
			s.sh(t, strings.ReplaceAll(one, " /run/", " ROOT/run/"))
			continue
		}
		if _, err := verb(t.Context()); err != nil {
			t.Errorf("%s: %v", one, err)
		}
	}
}

// watch begins to check the backends, as natspread health does: it holds its lock, and writes
// what it knows. One that hangs is ended first.
func (s *scene) watch(t *testing.T) {
	t.Helper()
	s.stopWatching()
	unlock, err := s.host.Restore.LockWatcher()
	if err != nil {
		t.Fatal(err)
	}
	s.unlock = unlock
	t.Cleanup(s.stopWatching)
	s.beat(t, generation.SinceBoot())
}

// stopWatching ends that.
func (s *scene) stopWatching() {
	if s.unlock != nil {
		s.unlock()
	}
	s.unlock = nil
}

// beat writes the record of natspread health as of a time, with states of checks.
func (s *scene) beat(t *testing.T, at time.Duration, states ...health.CheckRecord) {
	t.Helper()
	data, err := health.Record{Namespace: s.host.Restore.Store().Namespace, Generation: 1, Beat: at, Checks: states}.Encode()
	if err == nil {
		err = s.host.Restore.WriteHealthRecord(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestApplyDoesWhatDiffSays makes each fault, and compares what diff says that apply would
// change with what it changes. What is left after it is what it notes, and a second apply
// changes nothing.
func TestApplyDoesWhatDiffSays(t *testing.T) {
	for i, f := range faults() {
		if !testsize.Takes(i, 2) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			onHost(t, f, func(t *testing.T, s *scene) {
				before := s.diff(t)
				result, err := s.host.Restore.Apply(t.Context(), s.plan(t).Request("apply"))
				if refused := err != nil; refused != f.refuses {
					t.Fatalf("apply: %+v, %v", result, err)
				}
				if f.refuses {
					return
				}
				after := s.diff(t)
				if after.Added+after.Removed+len(after.Services) > 0 || after.outdated != "" {
					t.Errorf("apply left a difference:\n%s%s", after.Text(plain(), true), after.outdated)
				}
				if noted := FindingsOf(Broken(s.remaining(t))); !reflect.DeepEqual(noted, after.Findings) {
					t.Errorf("apply would note %v, and diff finds %v", noted, after.Findings)
				}
				says := before.Added+before.Removed+len(before.Services) > 0 || before.outdated != "" || len(before.Findings) > len(after.Findings)
				if result.Changed != says {
					t.Errorf("apply changed something: %v; diff said: %v\n%s%s", result.Changed, says, before.Text(plain(), true), before.outdated)
				}
				if again := s.apply(t); again.Changed {
					t.Errorf("the second apply: %+v", again)
				}
			})
		})
	}
}
