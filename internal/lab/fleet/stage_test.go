package main

import "testing"

// TestCounts are read as they were written.
func TestCounts(t *testing.T) {
	want := counts{lost: [kinds]int{1, 2, 3, 4, 5}, moved: 6, began: 8, failed: 7}
	if got, err := readCounts(want.String()); err != nil || got != want {
		t.Errorf("%v became %v, %v", want, got, err)
	}
	if _, err := readCounts("ready"); err == nil {
		t.Error("another line is read")
	}
}

// TestJudge takes nothing lost, and of a row that must lose some of each kind. Where clients close
// what nobody takes up the backends' sockets stay.
func TestJudge(t *testing.T) {
	losing := row{loses: []int{echo, up}}
	closing := row{closes: true, loses: []int{idle}}
	for _, c := range []struct {
		of   row
		n    counts
		held int
		good bool
	}{
		{row{}, counts{failed: 9, began: 9}, 0, true},
		{row{}, counts{lost: [kinds]int{down: 1}}, 0, false},
		{row{}, counts{moved: 1}, 0, false},
		{losing, counts{lost: [kinds]int{echo: 1, up: 1, down: 3}}, 0, true},
		{losing, counts{lost: [kinds]int{echo: 60}}, 0, false},
		{closing, counts{lost: [kinds]int{idle: 60}}, 60, true},
		{closing, counts{lost: [kinds]int{idle: 60}}, 0, false},
	} {
		if err := (result{counts: c.n, held: c.held}).judge(c.of); (err == nil) != c.good {
			t.Errorf("%v of %v: %v", c.n, c.of.loses, err)
		}
	}
}

// TestRowNames are each there once: a row is played by its name.
func TestRowNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.name] {
			t.Errorf("two rows are called %q", r.name)
		}
		seen[r.name] = true
	}
}
