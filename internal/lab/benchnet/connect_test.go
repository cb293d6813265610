package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
)

// TestConnections makes whole connections, a few, on every way that takes no
// process; way.judge makes sure of who answers.
func TestConnections(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Variants(t)
	var out bytes.Buffer
	opts := options{rounds: 2, quick: true}
	for _, bench := range []func() error{
		func() error { return benchConnect(opts, &out) },
		func() error { return benchBulk(opts, &out) },
	} {
		if err := bench(); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{`routing( +[0-9.]+){5}`, `natspread, legacy +[0-9.]+ +-?[0-9.]+( +[0-9.]+){3}`, `natspread, 10 services, nft +[0-9.]+  \(.*\)`} {
		if !regexp.MustCompile("(?m)^" + line + "$").MatchString(strings.ReplaceAll(out.String(), " -", " ")) {
			t.Errorf("no line %s in\n%s", line, &out)
		}
	}
}

// TestJudge gives answers that are not what a balancer gives.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		way     string
		answers tally
		good    bool
	}{
		{wayRouting, tally{9, 0, 0}, true},
		{wayRouting, tally{8, 0, 0}, false},
		{wayOurs, tally{3, 3, 3}, true},
		{wayOurs, tally{4, 5, 0}, false},
		{wayOurs, tally{3, 3, 2}, false},
	} {
		if err := (way{name: c.way}).judge(c.answers, 9); (err == nil) != c.good {
			t.Errorf("%s, %v of 9: %v", c.way, c.answers, err)
		}
	}
	var answers tally
	for _, answer := range [][]byte{{}, {3}, {0, 1}} {
		if err := answers.add(answer); err == nil {
			t.Errorf("%q was counted", answer)
		}
	}
}

// TestRules measures a file of rules, and one whose rules do not apply.
func TestRules(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Variants(t)
	file := filepath.Join(t.TempDir(), "article.rules")
	if err := os.WriteFile(file, flat([]service{article()}), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	opts := options{rounds: 1, files: []string{file}, to: "192.0.2.10:80", variant: "legacy", match: regexp.MustCompile("")}
	if err := benchRules(opts, &out); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%v, and\n%s", err, &out)
	}
	opts.to = "nowhere:80"
	if err := benchRules(opts, &out); err == nil || !strings.Contains(err.Error(), "IPv4 ADDRESS:PORT") {
		t.Errorf("nowhere was asked: %v", err)
	}
}
