package selftest_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/program"
	"natspread/internal/screen"
	"natspread/internal/selftest"
	"natspread/internal/test/hosttest"
	"natspread/internal/traffic"
	"natspread/render"
	"natspread/restore/iptables"

	"natspread/internal/rules"
)

// update rewrites what the stories want with what they get.
var update = flag.Bool("update", false, "rewrite what the stories of testdata/selftest want")

// storyDir holds one txtar for each story: a comment with its reason, natspread.toml, and in want what
// selftest prints, with "#" for what chance decides. A story without natspread.toml has that of the
// example with its name. The names of configs with a mistake begin with "wrong": these stories have
// fixed.toml, too, the same config with each fix done.
const storyDir = "../../testdata/selftest"

// chance finds what chance decides: the share that is seen.
var chance = regexp.MustCompile(`seen +[0-9.]+ %`)

// try tries a config as the verb does.
func try(t *testing.T, variant rules.Variant, toml string) selftest.Result {
	t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(toml))
	hosttest.Must(t, err)
	kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
	result, err := selftest.Run(t.Context(), kernel, cfg, render.New(cfg), cfg.Services)
	hosttest.Must(t, err)
	return result
}

// TestStories tries the config of each story.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(storyDir, "*.txtar"))
	hosttest.Must(t, err)
	examples, err := filepath.Glob("../../examples/*.toml")
	hosttest.Must(t, err)
	for _, path := range examples {
		if !slices.Contains(paths, filepath.Join(storyDir, "example-"+strings.TrimSuffix(filepath.Base(path), ".toml")+".txtar")) {
			t.Errorf("%s has no story", path)
		}
	}
	wrong := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return !isWrong(path) })
	if len(wrong) < 10 || len(examples) < 12 {
		t.Errorf("there are %d stories that are wrong, and %d examples", len(wrong), len(examples))
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) { tell(t, variant, path) })
		})
	}
}

// tell tries the config of one story by one variant.
func tell(t *testing.T, variant rules.Variant, path string) {
	t.Helper()
	if strings.HasSuffix(path, "sctp.txtar") && traffic.HasSCTP() {
		return // what it prints then is in no story
	}
	story, err := txtar.ParseFile(path)
	hosttest.Must(t, err)
	files := map[string]*txtar.File{}
	for i := range story.Files {
		files[story.Files[i].Name] = &story.Files[i]
	}
	result := try(t, variant, configOf(t, path, files["natspread.toml"]))
	files["want"].Data = []byte(chance.ReplaceAllString(result.Text(screen.Screen{}), "seen        #"))
	if *update {
		hosttest.Must(t, os.WriteFile(path, txtar.Format(story), 0o644))
	}
	want, err := os.ReadFile(path)
	hosttest.Must(t, err)
	if diff := cmp.Diff(string(want), string(txtar.Format(story))); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if result.Good == isWrong(path) || result.Variant != variant {
		t.Errorf("good %v, by %s", result.Good, result.Variant)
	}
	if isWrong(path) {
		if fixed := try(t, variant, string(files["fixed.toml"].Data)); !fixed.Good {
			t.Errorf("it is still wrong:\n%s", fixed.Text(screen.Screen{}))
		}
	}
}

// configOf returns the config of a story, which for an example is in the directory of the examples.
func configOf(t *testing.T, path string, own *txtar.File) string {
	t.Helper()
	if own != nil {
		return string(own.Data)
	}
	name := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(path), ".txtar"), "example-")
	text, err := os.ReadFile("../../examples/" + name + ".toml")
	hosttest.Must(t, err)
	return string(text)
}

// isWrong tells whether the config of a story is not well.
func isWrong(path string) bool { return strings.HasPrefix(filepath.Base(path), "wrong") }
