package config

import (
	"strings"
	"testing"
)

// TestExample holds the embedded example to what the documents say it is.
func TestExample(t *testing.T) {
	c, err := Parse("example.toml", Example())
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, c)
	const want = `service web, ipv6 false
  listen 192.0.2.10:80, any false
  protocols [tcp]
  snat 192.0.2.10
  backend 10.0.0.1:80 weight 1
  backend 10.0.0.2:80 weight 1
  backend 10.0.0.3:80 weight 1
  algorithm random
  interface ""
  hairpin []
  local true
  on_remove drain
  forward leave
`
	if got := dump(c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for i, line := range strings.Split(example, "\n") {
		if len(line) > 80 || strings.ContainsRune(line, '\t') {
			t.Errorf("line %d is %d bytes or holds a tab", i+1, len(line))
		}
	}
}

// TestExampleCommentedKeys takes the comment sign from each key that stands in
// the example as a comment: what an administrator would do must parse.
func TestExampleCommentedKeys(t *testing.T) {
	found := 0
	for _, k := range serviceKeys {
		if !strings.Contains(example, "\n# "+k.Name+" = ") {
			continue
		}
		found++
		text := strings.Replace(example, "\n# "+k.Name+" = ", "\n"+k.Name+" = ", 1)
		if k.Name == "hairpin" || k.Name == "takeover" {
			text = strings.Replace(text, "\nsnat = \"192.0.2.10\"", "\nsnat = \"none\"", 1)
		}
		if k.Name == "slots" || k.Name == "source_prefix" || k.Name == "takeover" {
			text = strings.Replace(text, "\n# algorithm = ", "\nalgorithm = ", 1)
		}
		if k.Name == "refused" {
			text = strings.Replace(text, "\n# allow = ", "\nallow = ", 1)
		}
		if k.Name == "min_up" || k.Name == "on_down" {
			text = strings.Replace(text, "\n# check = ", "\ncheck = ", 1)
		}
		if _, err := Parse("example.toml", []byte(text)); err != nil {
			t.Errorf("with %s: %v", k.Name, err)
		}
	}
	if found != 18 {
		t.Errorf("%d keys stand as comments, want protocol, snat_ports, algorithm, slots, source_prefix, interface, hairpin, allow, deny, refused, local, on_remove, forward, clamp_mss, takeover, check, min_up, on_down", found)
	}
}
