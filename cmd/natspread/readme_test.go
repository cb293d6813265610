package main

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/test/netnstest"
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

// tabled returns the first cells, without backquotes, of the table whose header
// begins with a word, and all of its text.
func tabled(t *testing.T, header string) (cells []string, text string) {
	t.Helper()
	_, text, found := strings.Cut(readme(t), "\n| "+header+" |")
	if !found {
		t.Fatalf("the README has no table of %ss", header)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(text, "\n")[2:] {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		cells = append(cells, strings.Trim(cell, "`"))
	}
	return cells, text
}

// TestREADMEIsShort keeps it readable while standing.
func TestREADMEIsShort(t *testing.T) {
	lines := strings.Split(readme(t), "\n")
	if len(lines) > 121 {
		t.Errorf("%d lines", len(lines)-1)
	}
	for i, line := range lines {
		if len(line) > 100 && !strings.HasPrefix(line, "|") {
			t.Errorf("line %d is %d columns wide", i+1, len(line))
		}
	}
}

func TestREADMEVerbs(t *testing.T) {
	var verbs []string
	for _, command := range (&session{}).program().Verbs {
		verbs = append(verbs, strings.TrimSpace(command.Name+" "+command.ArgsUsage))
	}
	cells, _ := tabled(t, "verb")
	if diff := cmp.Diff(verbs, cells); diff != "" {
		t.Errorf("-program +README:\n%s", diff)
	}
}

// TestREADMEFlags looks for each flag that the README names in the program.
func TestREADMEFlags(t *testing.T) {
	known := typedFlags(commonFlags())
	for _, command := range (&session{}).program().Verbs {
		known = append(known, typedFlags(command.Flags)...)
	}
	_, text := tabled(t, "verb")
	_, after, _ := strings.Cut(readme(t), text)
	common, _, _ := strings.Cut(after, "|---|")
	for _, match := range regexp.MustCompile("`(--?[a-z0-9-]+)").FindAllStringSubmatch(text+common, -1) {
		if !slices.Contains(known, match[1]) {
			t.Errorf("no verb takes %s", match[1])
		}
	}
	for _, flag := range cmdline.Described(commonFlags()) {
		name := flag.Names[len(flag.Names)-1] // the short one where there is one
		if !strings.Contains(common, "`"+name) {
			t.Errorf("the README does not name the common flag %s", name)
		}
	}
}

func TestREADMEExitCodes(t *testing.T) {
	var codes []string
	for _, exit := range exitCodes() {
		codes = append(codes, fmt.Sprint(exit.Code))
	}
	cells, _ := tabled(t, "exit code")
	if diff := cmp.Diff(codes, cells); diff != "" {
		t.Errorf("-program +README:\n%s", diff)
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
	for _, match := range regexp.MustCompile("(?m)(?:^|`|sudo )make ([a-z]+)").FindAllStringSubmatch(readme(t), -1) {
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

// TestREADMELines types the first lines of the README into a shell on a balancer
// with three web servers behind it, then goes the way out that the README shows.
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

	lines := fenced(t, "sh")[0]
	if n := strings.Count(lines, "\n"); n != 6 {
		t.Errorf("%d lines, not six", n)
	}
	said := network.Balancer.Command(t, lines, "sh", "-ex")
	if !regexp.MustCompile(`(?s)^10\.0\.0\.[123]\n.*in sync`).MatchString(said) {
		t.Errorf("the six lines said:\n%s", said)
	}

	wayOut := regexp.MustCompile("`(iptables-restore < [^`]+)`").FindStringSubmatch(readme(t))
	if wayOut == nil {
		t.Fatal("the README shows no way out")
	}
	reload := "natspread -q stop\necho 1 > /proc/sys/net/ipv4/ip_forward\n" +
		strings.ReplaceAll(wayOut[1], " /var/", " "+root+"/var/") + "\ncurl -sS http://192.0.2.10/\n"
	if said := network.Balancer.Command(t, reload, "sh", "-e"); !strings.HasPrefix(said, "10.0.0.") {
		t.Errorf("after the way out curl said %q", said)
	}
}

// typedProgram puts the program into a directory as "natspread", which keeps its
// files below root.
func typedProgram(t *testing.T, bin, root string) {
	t.Helper()
	built := filepath.Join(bin, "built")
	build := exec.Command("go", "build", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
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
