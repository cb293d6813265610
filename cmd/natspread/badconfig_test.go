package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"
)

// configStories are the cases of the room config: what is wrong with each, and the
// words for it, is held there.
const configStories = "../../testdata/config/*.txtar"

// badConfigs returns files that are no good config, by name: those of the stories,
// and what is not even a file with a text in it.
func badConfigs(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	bad := map[string]string{
		"directory": dir,
		"missing":   filepath.Join(dir, "missing"),
		"device":    "/dev/zero",
		"fifo":      filepath.Join(dir, "fifo"),
		"large":     filepath.Join(dir, "large"),
		"link":      filepath.Join(dir, "link"),
	}
	writeFile(t, bad["large"], article)
	for _, err := range []error{
		unix.Mkfifo(bad["fifo"], 0o644),
		os.Truncate(bad["large"], 100<<20),
		os.Symlink("nowhere", bad["link"]),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	stories, err := filepath.Glob(configStories)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stories {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if strings.HasPrefix(name, "good-") {
			continue
		}
		story, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad[name] = filepath.Join(dir, name+".toml")
		writeFile(t, bad[name], string(story.Files[0].Data))
	}
	// Bytes that do not fit into a story.
	for name, text := range map[string]string{
		"nul": article + "\x00", "junk": "\x7fELF\x02\x01\x01\x00\xff\xfe", "bom": "\ufeff" + article,
		"escape": strings.Replace(article, "web", "we\x1bb", 1), "newline": strings.Replace(article, "web", `we\nb`, 1),
	} {
		bad[name] = filepath.Join(dir, name+".toml")
		writeFile(t, bad[name], text)
	}
	return bad
}

// Whatever is wrong with a config: the exit code says so, there are words, and
// nothing is written and nothing loaded by any verb that takes a config.
func TestBadConfigs(t *testing.T) {
	if !isolate(t) {
		return
	}
	bad := badConfigs(t)
	if len(bad) < 40 {
		t.Fatalf("only %d bad configs: are there no stories in %s?", len(bad), configStories)
	}
	root := rootWith(t, article)
	inProcess("--root", root, "--live", "--variant", "nft", "apply").want(t, exitDone)
	before := everything(t, root)
	empty := rootWith(t, article)
	for name, path := range bad {
		for _, verb := range []string{"apply", "apply --dry-run", "check", "render", "render -o " + empty, "diff", "install"} {
			args := append([]string{"--root", root, "--live", "--variant", "nft", "--config", path}, strings.Fields(verb)...)
			if verb == "install" {
				args[1] = empty
			}
			got := inProcess(args...)
			if got.code != exitConfig || got.out != "" || got.err == "" {
				t.Errorf("%s, %s: exit code is %d, not %d\n%s%s", verb, name, got.code, exitConfig, got.out, got.err)
			}
			if strings.ContainsAny(got.err, "\x1b\x00\ufeff") {
				t.Errorf("%s, %s: the words hold what a terminal obeys: %q", verb, name, got.err)
			}
		}
	}
	if after := everything(t, root); after != before {
		t.Errorf("something changed: before\n%safter\n%s", before, after)
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 1 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}
