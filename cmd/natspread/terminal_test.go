package main

import "testing"

// TestFit cuts texts to terminals of all kinds.
func TestFit(t *testing.T) {
	t.Parallel()
	const text = "one\n\ntwo\n\x1b[32mthree\x1b[0m\nfour äöü\n"
	for _, c := range []struct {
		size size
		want string
	}{
		{size{0, 0}, text},
		{size{0, 3}, text},
		{size{6, 0}, text},
		{size{6, 80}, text},
		{size{6, 8}, text},
		{size{6, 7}, "one\n\ntwo\n\x1b[32mthree\x1b[0m\n... 1 more line\n"},
		{size{7, 7}, text},
		{size{8, 4}, text},
		{size{7, 4}, "one\n\ntwo\n\x1b[32mthree\x1b[0m\n... 1 more line\n"},
		{size{5, 80}, "one\n\ntwo\n... 2 more lines\n"},
		{size{3, 80}, "one\n... 4 more lines\n"},
		{size{2, 80}, "... 5 more lines\n"},
		{size{1, 80}, "... 5 more lines\n"},
	} {
		if got := c.size.fit(text); got != c.want {
			t.Errorf("%v: %q, want %q", c.size, got, c.want)
		}
	}
}
