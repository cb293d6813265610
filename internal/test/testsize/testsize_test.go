package testsize

import "testing"

// TestWhole tells a machine that tests each change by whatever it sets CI to.
func TestWhole(t *testing.T) {
	for value, whole := range map[string]bool{"": false, "0": false, "false": false, "1": true, "true": true, "woodpecker": true} {
		t.Setenv(CI, value)
		want := 1
		if whole {
			want = 2
		}
		if Whole() != whole || Of(1, 2) != want {
			t.Errorf("%s=%s: %v, %d", CI, value, Whole(), Of(1, 2))
		}
		for place := range 6 {
			if Takes(place, 3) != (whole || place == 0 || place == 3) {
				t.Errorf("%s=%s: case %d of 6 is taken: %v", CI, value, place, Takes(place, 3))
			}
		}
	}
}
