package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestSlotFixes writes what each fix says for too few slots: then the config parses.
func TestSlotFixes(t *testing.T) {
	backends := func(count int, weights ...int) string {
		var list []string
		for i, weight := range weights {
			list = append(list, fmt.Sprintf("{ address = \"10.1.0.%d:80\", weight = %d }", i+1, weight))
		}
		for i := range count {
			list = append(list, fmt.Sprintf("\"10.0.%d.%d:80\"", i/250, i%250+1))
		}
		return strings.Join(list, ", ")
	}
	for name, test := range map[string]struct {
		backends, lines, fix string
		replace              [2]string // what the fix asks to write in place of something
	}{
		"a backend more":   {backends(65), "", "write slots = 512", [2]string{`"source"`, "\"source\"\nslots = 512"}},
		"the most":         {backends(1024), "slots = 2048\n", "write slots = 4096", [2]string{"slots = 2048", "slots = 4096"}},
		"more than that":   {backends(1025), "", `write algorithm = "random", or spread the backends over several services`, [2]string{`"source"`, `"random"`}},
		"a light one":      {backends(0, 1, 1000), "", "write slots = 512", [2]string{`"source"`, "\"source\"\nslots = 512"}},
		"many and light":   {backends(5, 1, 1000), "slots = 16\n", "write slots = 1024", [2]string{"slots = 16", "slots = 1024"}},
		"too light":        {backends(0, 65535, 1), "", "write slots = 4096 and weight = 17, or more: weights that are closer to each other", [2]string{`weight = 1 }`, "weight = 17 }"}},
		"none is enough":   {backends(70, 65535, 1), "", "write slots = 4096", [2]string{`"source"`, "\"source\"\nslots = 4096"}},
		"a drained one":    {strings.Replace(backends(0, 1, 1000), "weight = 1 ", "weight = 1, drain = true ", 1), "", "write slots = 512", [2]string{`"source"`, "\"source\"\nslots = 512"}},
		"the shorter mask": {backends(3), "source_prefix = 40\n", "write source_prefix = 32", [2]string{"= 40", "= 32"}},
	} {
		text := oneServiceOf(test.backends) + "algorithm = \"source\"\n" + test.lines
		all := errorsOf(t, text)
		if all[0].Fix != test.fix {
			t.Errorf("%s: %v; the fix is not %q", name, all[0], test.fix)
		}
		text = strings.Replace(text, test.replace[0], test.replace[1], 1)
		if name == "too light" {
			text = strings.Replace(text, `"source"`, "\"source\"\nslots = 4096", 1)
		}
		_, err := Parse("f.toml", []byte(text))
		if again := name == "none is enough"; (err != nil) != again {
			t.Errorf("%s: after the fix: %v", name, err)
		}
	}
}

// oneServiceOf is a config of one service with these backends.
func oneServiceOf(backends string) string {
	return strings.Replace(oneService, `"10.0.0.1:80"`, backends, 1)
}
