package main

import (
	"fmt"
	"html"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// house is the top of the source tree, where the README is.
const house = "../.."

// readme is the text of the README.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(house, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fenced returns the blocks of a language.
func fenced(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readme(t), -1) {
		blocks = append(blocks, match[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return blocks
}

// TestREADMEIsShort keeps it readable while standing.
func TestREADMEIsShort(t *testing.T) {
	lines := strings.Split(readme(t), "\n")
	if len(lines) > 101 {
		t.Errorf("%d lines", len(lines)-1)
	}
	for i, line := range lines {
		if len(line) > 100 && !strings.HasPrefix(line, "|") {
			t.Errorf("line %d is %d columns wide", i+1, len(line))
		}
	}
}

// TestArchitectureRooms looks for each room of the tree in docs/architecture.md,
// and for each room that the page names in the tree.
func TestArchitectureRooms(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(house, "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(string(page), "") // without what links lead to
	for _, pattern := range []string{"*", "cmd/*", "internal/*", "restore/*"} {
		for _, room := range rooms(t, pattern) {
			if room == "bin" || room == "internal" || room == "cmd" {
				continue // what is in them is named, and bin is built
			}
			if !regexp.MustCompile(`(?:^|[^a-z])` + regexp.QuoteMeta(room) + `\b`).MatchString(text) {
				t.Errorf("the page does not name %s", room)
			}
		}
	}
	for _, match := range regexp.MustCompile(`\b(?:internal|restore|cmd)/[a-z]+\b`).FindAllString(text, -1) {
		if info, err := os.Stat(filepath.Join(house, match)); err != nil || !info.IsDir() {
			t.Errorf("the page names %s, and the tree has none", match)
		}
	}
}

// rooms lists the directories that match, from the top of the tree.
func rooms(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(house), pattern)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Stat(filepath.Join(house, name))
		return err != nil || !info.IsDir() || strings.HasPrefix(name, ".git")
	})
}

// TestREADMELinks follows the links to files.
func TestREADMELinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readme(t), -1)
	for _, link := range links {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(house, link[1])); err != nil {
			t.Error(err)
		}
	}
	if len(links) < 3 {
		t.Errorf("only %d links", len(links))
	}
}

// TestREADMETargets looks for each make target in the Makefile.
func TestREADMETargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(house, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("(?m)(?:^|`|sudo )make ([a-z-]+)").FindAllStringSubmatch(readme(t), -1) {
		if !strings.Contains(string(makefile), "\n"+match[1]+":") {
			t.Errorf("the Makefile has no target %s", match[1])
		}
	}
}

// TestREADMEConfig holds the config that is shown against the one that init writes.
func TestREADMEConfig(t *testing.T) {
	want, err := config.Parse("example", config.Example())
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range fenced(t, "toml") {
		got, err := config.Parse("README.md", []byte(block))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("-example +README:\n%s", diff)
		}
	}
}

// TestREADMEPicture holds the picture of a service against the rules of the config that the
// README shows: each line of the graph is in it, and can be read at the width of a page.
func TestREADMEPicture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "natspread.toml")
	writeFile(t, path, fenced(t, "toml")[0])
	dot := inProcess("render", "--dot", "--config", path).want(t, exitDone).out
	picture, err := os.ReadFile(filepath.Join(house, "docs/service.svg"))
	if err != nil {
		t.Fatal(err)
	}
	drawn := html.UnescapeString(strings.ReplaceAll(string(picture), "&#45;", "-"))
	lines := 0
	for _, label := range regexp.MustCompile(`label="([^"]+)"`).FindAllStringSubmatch(dot, -1) {
		for _, line := range regexp.MustCompile(`(?:\\[nl]|\|<\d+>)+`).Split(strings.TrimSuffix(label[1], `\l`), -1) {
			lines++
			if !strings.Contains(drawn, ">"+line+"<") {
				t.Errorf("docs/service.svg has no %q; natspread render --svg draws it", line)
			}
		}
	}
	if lines < 15 {
		t.Errorf("only %d lines", lines)
	}
	const page, readable = 846, 11 // of README.md on a screen, in its pixels
	width, _ := strconv.ParseFloat(regexp.MustCompile(`viewBox="0.00 0.00 ([0-9.]+) `).FindStringSubmatch(drawn)[1], 64)
	for _, size := range regexp.MustCompile(`font-size="([0-9.]+)"`).FindAllStringSubmatch(drawn, -1) {
		if points, _ := strconv.ParseFloat(size[1], 64); points*page/width < readable {
			t.Errorf("letters of docs/service.svg are %.1f pixels high, less than %d", points*page/width, readable)
		}
	}
}

// TestREADMELines types the first lines of the README into a shell on a balancer
// with web servers behind it, and wants what the README says that they print; then it goes the
// way out that the manual shows.
// Only the place of the files is not as written: a root of the test's own.
func TestREADMELines(t *testing.T) {
	if !isolate(t) {
		return
	}
	network := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
	for _, backend := range network.Backends {
		serveHTTP(t, backend)
	}
	bin, root := t.TempDir(), t.TempDir()
	typedProgram(t, bin, root)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))

	lines := fenced(t, "sh")[1]
	commands := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(lines, "")
	if n := len(regexp.MustCompile(`(?m)^[a-z]`).FindAllString(commands, -1)); n != 6 {
		t.Errorf("%d commands, not six", n)
	}
	said := network.Balancer.Command(t, "exec 2>&1\n"+commands, "sh", "-e")
	if !regexp.MustCompile(`(?m)^10\.0\.0\.[12]$`).MatchString(said) {
		t.Errorf("no backend answered:\n%s", said)
	}
	for _, promised := range regexp.MustCompile(`(?m)^# (.*\n)`).FindAllStringSubmatch(lines, -1) {
		if !strings.Contains(strings.NewReplacer("--root "+root+" ", "", root, "").Replace(said), promised[1]) {
			t.Errorf("%q was not said:\n%s", promised[1], said)
		}
	}

	reload := "natspread -q stop\n" + strings.ReplaceAll(strings.Join(blocks(section(t, manual(t, "natspread.8"), "WITHOUT NATSPREAD"))[:3], "\n"), " /var/", " "+root+"/var/") +
		"\ncurl -sS \"http://$(hostname -I | cut -d ' ' -f 1)/\"\n"
	if said := network.Balancer.Command(t, reload, "sh", "-e"); !strings.HasPrefix(said, "10.0.0.") {
		t.Errorf("after the way out curl said %q", said)
	}
}

// typedProgram puts the program into a directory as "natspread", which keeps its
// files below root. Outside of CI it is the test's own copy of the program, which need not be built.
func typedProgram(t *testing.T, bin, root string) {
	t.Helper()
	built := natspreadCommand(t, "natspread").Path
	if testsize.Whole() {
		built = filepath.Join(bin, "built")
		build := exec.Command("go", "build", "-o", built, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --root %s --live --live \"$@\"\n", built, root)
	if err := os.WriteFile(filepath.Join(bin, "natspread"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// serveHTTP answers on port 80 of a backend with the backend's address.
func serveHTTP(t *testing.T, backend netnstest.Backend) {
	t.Helper()
	name := backend.Addr(4).String()
	var listener net.Listener
	var err error
	backend.Host.Do(t, func() { listener, err = net.Listen("tcp", name+":80") })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	})}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	t.Cleanup(func() { server.Close() })
}
