package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/test/hosttest"
)

// pagePath is the page, from here.
const pagePath = "../../../docs/fleet.md"

// TestPage has each text that is run, and none that is not.
func TestPage(t *testing.T) {
	texts, err := readPage(pagePath)
	hosttest.Must(t, err)
	var found []string
	for name := range texts {
		found = append(found, name)
	}
	known := pageTexts()
	slices.Sort(found)
	slices.Sort(known)
	if diff := cmp.Diff(known, found); diff != "" {
		t.Errorf("(-run +on the page):\n%s", diff)
	}
}

// TestRowsOnPage are all in its table, and no others.
func TestRowsOnPage(t *testing.T) {
	page, err := os.ReadFile(pagePath)
	hosttest.Must(t, err)
	_, table, _ := strings.Cut(string(page), "## What was measured")
	var found, known []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 6 {
			found = append(found, strings.TrimSpace(cells[1]))
		}
	}
	for _, r := range rows() {
		known = append(known, r.name)
	}
	if diff := cmp.Diff(append([]string{"row", "---"}, known...), found); diff != "" {
		t.Errorf("make fleet-table writes it anew (-rows +on the page):\n%s", diff)
	}
}

// TestOf gives each balancer what the page says of it.
func TestOf(t *testing.T) {
	texts, err := readPage(pagePath)
	hosttest.Must(t, err)
	priorities := func(text string) string {
		var all []string
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == "priority" {
				all = append(all, words[1])
			}
		}
		return strings.Join(all, " ")
	}
	for name, want := range map[string][]string{
		gatewaysText: {"200 130 140", "140 200 130", "130 140 200"},
		pairText:     {"150 150", "140 140"},
		snatPairText: {"150 150", "140 140"},
	} {
		for i, want := range want {
			if got := priorities(of(texts[name], i+1)); got != want {
				t.Errorf("%s on l%d has the priorities %s, not %s", name, i+1, got, want)
			}
		}
	}
	second := of(texts[conntrackdText], 2)
	if !strings.Contains(second, "IPv4_address 10.255.0.2\n        IPv4_Destination_Address 10.255.0.1\n") {
		t.Errorf("l2's conntrackd has\n%s", second)
	}
}
