// Package pagetest reads the texts that a page of docs shows, so that tests run what the page says.
package pagetest

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Texts returns the fenced blocks of a page in some languages, by the comment in their first line (behind
// #! or #cloud-config where they have that): it names the file that the block is. Other blocks are left out.
func Texts(t testing.TB, path string, languages ...string) map[string]string {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?ms)^```(?:" + strings.Join(languages, "|") + ")\n((?:#[!a-z].*?\n)?# (.*?)\n.*?)^```$")
	texts := map[string]string{}
	for _, match := range fenced.FindAllStringSubmatch(string(page), -1) {
		texts[match[2]] = match[1]
	}
	return texts
}

// WantNames fails where a page has other texts than those that its tests know, and so run.
func WantNames(t testing.TB, texts map[string]string, known ...string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(slices.Values(known)), slices.Sorted(maps.Keys(texts))); diff != "" {
		t.Errorf("(-known +on the page):\n%s", diff)
	}
}
