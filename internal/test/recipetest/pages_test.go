package recipetest

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/test/hosttest"
	"natspread/internal/test/pagetest"
)

// docs are the pages, stories what boots a machine by their texts.
const (
	docs    = "../../../docs"
	stories = "../../lab/boot/stories"
)

// pastes finds what a story takes from a page, by its name: the file that it pastes, or the Dockerfile that it builds.
var pastes = regexp.MustCompile(`(?m)^ *(?:build_page|paste) (?:\$page|\S+\.md)(?:$| (?:"([^"]+)"|(\S+)) )`)

// page returns the texts of a page of docs.
func page(t testing.TB, name string) map[string]string {
	t.Helper()
	return pagetest.Texts(t, filepath.Join(docs, name), "sh", "yaml", "dockerfile")
}

// TestTextsOfStories are all run by a story, which pastes them by their names.
func TestTextsOfStories(t *testing.T) {
	for name, story := range map[string][]string{
		"images.md":     {"mmdebstrap.sh", "recipes.sh"},
		"cloud-init.md": {"cloud-init.sh"},
		"no-systemd.md": {"openrc.sh"},
	} {
		var pasted []string
		for _, file := range story {
			text, err := os.ReadFile(filepath.Join(stories, file))
			hosttest.Must(t, err)
			for _, match := range pastes.FindAllStringSubmatch(string(text), -1) {
				pasted = append(pasted, cmp.Or(match[1]+match[2], "Dockerfile"))
			}
		}
		pagetest.WantNames(t, page(t, name), pasted...)
	}
}

// TestLinks of the pages lead to files, and to headings in them.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(docs, "*.md"))
	hosttest.Must(t, err)
	links := 0
	for _, path := range append(pages, filepath.Join(docs, "monitoring/README.md")) {
		for _, match := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			links++
			file, heading, _ := strings.Cut(match[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", path, err)
			} else if heading != "" && !slices.Contains(headings(t, target), heading) {
				t.Errorf("%s: %s has no heading #%s", path, target, heading)
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links", links)
	}
}

// headings returns those of a page as links name them.
func headings(t testing.TB, path string) []string {
	t.Helper()
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, path), -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// read returns a page as a text.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	hosttest.Must(t, err)
	return string(text)
}
