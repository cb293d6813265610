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

// TestNoOpposite never sends anybody the wrong way.
func TestNoOpposite(t *testing.T) {
	verbs := []string{"help", "check", "apply", "confirm", "drain", "undrain", "install", "uninstall", "status", "stop"}
	keys := []string{"insecure", "local", "snat", "drain", "accept", "listen", "takeover", "none"}
	for _, tt := range []struct {
		known      []string
		word, want string
	}{
		{verbs, "undrian", "undrain"}, {verbs, "drian", "drain"}, {verbs, "unistall", "uninstall"}, {verbs, "instal", "install"},
		{verbs, "udrain", ""}, {verbs, "uinstall", ""}, {verbs, "unconfirm", ""}, {verbs, "unapply", ""}, {verbs, "un-apply", ""},
		{verbs, "unaply", ""}, {verbs, "deinstall", ""}, {verbs[:7], "undrain", "undrain"}, {verbs[:5], "undrain", ""}, {verbs, "nostatus", ""},
		{keys, "secure", ""}, {keys, "nolocal", ""}, {keys, "no_local", ""}, {keys, "nosnat", ""}, {keys, "no_snat", ""}, {keys, "undrain", ""},
		{keys, "noaccept", ""}, {keys, "inscure", "insecure"}, {keys, "unlisten", ""}, {keys, "no_takeover", ""}, {keys, "nome", "none"},
	} {
		if got := Word(tt.word, tt.known); got != tt.want {
			t.Errorf("of %q the word nearest to %q is %q, want %q", tt.known, tt.word, got, tt.want)
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
