package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/restore/generation"
)

// TestRandomWalk does to a host what comes to rapid's mind: verbs of every kind, killed at
// any of their system calls, or with an error of the kernel in one; and what others do
// meanwhile. After each step the kernel, the disk and what status and diff say are those
// that a small model of the promises knows. A failure prints the seed of the walk.
func TestRandomWalk(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		given := map[string]bool{}
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		for name, value := range map[string]string{
			"rapid.checks": strconv.Itoa(testsize.Of(2, 6)), "rapid.steps": strconv.Itoa(testsize.Of(12, 40)), "rapid.nofailfile": "true", "rapid.shrinktime": "20s",
		} {
			if !given[name] {
				hosttest.Must(t, flag.Set(name, value))
			}
		}
		rapid.Check(t, func(drawn *rapid.T) {
			w := newWalk(walkTest{t, drawn}, variant)
			defer w.endTimers()
			drawn.Repeat(w.steps())
		})
	})
}

// walkTest is a test whose failures are rapid's, which prints what was drawn, and the seed.
type walkTest struct {
	testing.TB
	drawn *rapid.T
}

func (t walkTest) Helper()                         { t.drawn.Helper() }
func (t walkTest) Error(args ...any)               { t.drawn.Error(args...) }
func (t walkTest) Errorf(format string, a ...any)  { t.drawn.Errorf(format, a...) }
func (t walkTest) Fatal(args ...any)               { t.drawn.Fatal(args...) }
func (t walkTest) Fatalf(format string, a ...any)  { t.drawn.Fatalf(format, a...) }
func (t walkTest) FailNow()                        { t.drawn.FailNow() }
func (t walkTest) Logf(format string, args ...any) { t.drawn.Logf(format, args...) }

// walk is a host, and what must be true of it.
type walk struct {
	walkTest
	root    string
	variant rules.Variant
	model   walkModel
}

// walkModel is what is known of a host without a look at it. The kernel's tables are not
// known: others change them as they like.
type walkModel struct {
	config  string   // the text of the file
	kept    []string // the configs of the generations, the newest last: that is the one that boot loads
	linked  bool     // current leads there
	trial   string   // the config of the generation that waits to be confirmed, "" when none does
	late    bool     // its time is over
	before  bool     // something was loaded before the trial
	forward string   // the forwarding switches that the end of the trial leaves
	foreign int      // rules that others have
}

// boot returns the config that boot ends up with, "" when there is none.
func (m walkModel) boot() string {
	if len(m.kept) == 0 {
		return ""
	}
	return m.kept[len(m.kept)-1]
}

// wanted returns the config that the kernel is to hold.
func (m walkModel) wanted() string {
	if m.trial != "" {
		return m.trial
	}
	return m.boot()
}

// keeps returns the model after a new generation became current.
func (m walkModel) keeps(config string) walkModel {
	m.kept = append(slices.Clone(m.kept), config)
	m.kept = m.kept[max(0, len(m.kept)-generation.Keep):]
	m.linked = true
	return m
}

// newWalk begins on a host that has just booted, with a config that nobody has applied.
func newWalk(t walkTest, variant rules.Variant) *walk {
	hosttest.Boot(t, variant)
	w := &walk{walkTest: t, root: rootWith(t, walkConfigs()[0]), variant: variant}
	w.model.config = walkConfigs()[0]
	return w
}

// walkConfigs are the configs that the administrator writes. Each has other rules than the
// others, and the last one is wrong.
func walkConfigs() []string {
	return []string{
		hosttest.Article, hosttest.Smaller, hosttest.Clamped(hosttest.Accepted(hosttest.Article)), hosttest.Alone,
		strings.ReplaceAll(hosttest.Article, "10.0.0.", "10.0.1."), hosttest.Article + "[[service]]\n",
	}
}

// isWrong tells whether a config is the one that is wrong.
func isWrong(config string) bool { return strings.HasSuffix(config, "[[service]]\n") }

// walkKernel is what the kernel holds: natspread's part of the tables, by rules.Tables.All,
// and the forwarding switches.
type walkKernel struct {
	own        [rules.TableCount]string
	forwarding string
}

// read reads it.
func (w *walk) read() (now walkKernel) {
	for i, text := range w.tables() {
		saved, err := rules.ParseSaved(rules.NoTables().All()[i].Name, []byte(text))
		hosttest.Must(w, err)
		now.own[i] = string(saved.OwnText())
	}
	now.forwarding = hosttest.Forwarding(w)
	return now
}

// tables returns the tables, whoever's rules are in them.
func (w *walk) tables() (texts []string) {
	var saved [2][3]string
	for _, f := range rules.Families() {
		saved[f] = hosttest.SaveTables(w, w.variant, f)
	}
	for _, table := range rules.NoTables().All() {
		texts = append(texts, saved[table.Family][table.Name])
	}
	return texts
}

// textsOf returns what a config makes of natspread's part of the tables; of "" nothing.
func (w *walk) textsOf(config string) (texts [rules.TableCount]string) {
	tables := rules.NoTables()
	if config != "" {
		tables = hosttest.Tables(w, config)
	}
	for i, table := range tables.All() {
		texts[i] = string(table.Text())
	}
	return texts
}

// jumps are the rules by which a packet meets natspread's.
var jumps = regexp.MustCompile(`(?m)^-A (PREROUTING|OUTPUT|POSTROUTING|FORWARD) `)

// isLoaded tells whether packets meet rules of natspread's.
func (k walkKernel) isLoaded() bool { return jumps.MatchString(strings.Join(k.own[:], "")) }

// holds tells whether the kernel holds what a config wants, and forwards it.
func (w *walk) holds(now walkKernel, config string) bool {
	return now.own == w.textsOf(config) && w.forwards(now, config)
}

// forwards tells whether the kernel forwards the families that a config has services of.
func (w *walk) forwards(now walkKernel, config string) bool {
	if config == "" {
		return true
	}
	tables := hosttest.Tables(w, config)
	for i, family := range rules.Families() {
		if !tables.Of(family).Empty() && now.forwarding[i] != '1' {
			return false
		}
	}
	return true
}

// check compares the host with the model.
func (w *walk) check() {
	now := w.read()
	store := generation.Store{Root: w.root}
	boots, _, _ := store.Boot()
	hosttest.WantSame(w, "what boot loads", w.model.boot(), string(boots.Config.Main()))
	if boots.Number != 0 && !boots.Tables.Equal(hosttest.Tables(w, string(boots.Config.Main()))) {
		w.Errorf("generation %d has not the rules of its config", boots.Number)
	}
	text, err := os.ReadFile(filepath.Join(w.root, paths.Config))
	hosttest.Must(w, err)
	hosttest.WantSame(w, "the config", w.model.config, string(text))
	hosttest.WantSame(w, "rules of others", strings.Repeat(foreignRule+"\n", w.model.foreign), strings.Join(foreignRules.FindAllString(strings.Join(w.tables(), ""), -1), ""))
	w.natspread("status").want(w, w.statusCode(now))
	w.natspread("diff").want(w, w.diffCode(now))
}

// statusCode returns how status must end.
func (w *walk) statusCode(now walkKernel) int {
	switch {
	case !now.isLoaded():
		return exitNotLoaded
	case w.model.wanted() == "" || !w.holds(now, w.model.wanted()), w.fallback() != exitDone, w.model.trial != "" && w.model.late:
		return exitFailed
	}
	return exitDone
}

// diffCode returns how diff must end.
func (w *walk) diffCode(now walkKernel) int {
	switch {
	case isWrong(w.model.config):
		return exitConfig
	case w.statusCode(now) == exitDone && hosttest.Config(w, w.model.config).Equivalent(hosttest.Config(w, w.model.wanted())):
		return exitDone
	}
	return exitFailed
}

// natspread runs it in this process.
func (w *walk) natspread(args ...string) outcome { return inProcess(w.args(args)...) }

// args returns the arguments of a run on this host.
func (w *walk) args(args []string) []string {
	return append([]string{"--root", w.root, "--live", "--variant", string(w.variant)}, args...)
}

// foreignRule is a rule of somebody else's.
const foreignRule = "-A POSTROUTING -s 172.17.0.0/16 -o docker0 -j MASQUERADE"

// foreignRules finds it, whatever its counters are.
var foreignRules = regexp.MustCompile(`-A POSTROUTING -s 172\.17\.0\.0/16 .*\n`)
