package suggest

import (
	"strings"
	"testing"
)

// TestWord holds what counts as a slip of the fingers and what as another word.
func TestWord(t *testing.T) {
	known := []string{"name", "listen", "protocol", "snat", "backends", "algorithm", "interface", "hairpin", "local"}
	for word, want := range map[string]string{
		"lisen": "listen", "Listen": "listen", "LISTEN": "listen", "lsiten": "listen",
		"backend": "backends", "iface": "", "protcol": "protocol", "proto": "protocol",
		"snatt": "snat", "sant": "snat", "nmae": "name", "healthcheck": "", "x": "", "": "",
		"interfaces": "interface", strings.Repeat("a", 1000): "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("the word nearest to %q is %q, want %q", word, got, want)
		}
	}
}

// TestDistance counts a swap of neighbours as one slip.
func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"tcp", "tcp", 0}, {"tpc", "tcp", 1},
		{"tcpp", "tcp", 1}, {"udq", "udp", 1}, {"masqerade", "masquerade", 1}, {"kitten", "sitting", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) is %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
