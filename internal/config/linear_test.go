package config

import (
	"fmt"
	"strings"
	"testing"
)

// repeated writes a text for each number below n.
func repeated(n int, write func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(write(i))
	}
	return b.String()
}

// TestParseIsLinear counts what is allocated for configs that are long in one way each: for four
// times as much of it, about four times as much, good or not, the text of the errors too.
func TestParseIsLinear(t *testing.T) {
	address := func(i int) string { return fmt.Sprintf("192.%d.%d.%d", i>>14, i>>7&127, 1+i&127) }
	for name, text := range map[string]func(n int) string{
		"services":       func(n int) string { return string(manyServices(n)) },
		"services twice": func(n int) string { return strings.Repeat(string(manyServices(n/2)), 2) },
		"unknown tables": func(n int) string {
			return oneService + repeated(n, func(i int) string { return fmt.Sprintf("[x%d]\n", i) })
		},
		"unknown keys": func(n int) string {
			return oneService + repeated(n, func(i int) string { return fmt.Sprintf("qwertz%d = 1\n", i) })
		},
		"misspelt keys": func(n int) string { return oneService + strings.Repeat("lisen = 1\n", n) },
		"keys on one line": func(n int) string {
			return oneService + "check = {" + strings.Repeat("qwertz = 1, ", n) + "type = 1 }\n"
		},
		"the same key":  func(n int) string { return oneService + strings.Repeat("name = \"web\"\n", n) },
		"syntax errors": func(n int) string { return strings.Repeat("[[service]]\nname = \n", n) },
		"listens": func(n int) string {
			return strings.Replace(oneService, `"192.0.2.10:80"`, "["+repeated(n, func(i int) string { return `"` + address(i) + `:80", ` })+"]", 1)
		},
		"bad listens": func(n int) string {
			return strings.Replace(oneService, `"192.0.2.10:80"`, "["+repeated(n, func(i int) string { return `"` + address(i) + `:0", ` })+"]", 1)
		},
		"hairpins": func(n int) string {
			return oneService + "hairpin = [" + repeated(n, func(i int) string { return `"` + address(i) + `/32", ` }) + "]\n"
		},
	} {
		allocated := func(n int) float64 {
			data := []byte(text(n))
			return testing.AllocsPerRun(1, func() {
				if _, err := Parse("f.toml", data); err != nil {
					_ = err.Error()
				}
			})
		}
		if few, many := allocated(500), allocated(2000); many > 5*few {
			t.Errorf("%s: %.0f allocations for 500, and %.0f for 2,000", name, few, many)
		}
	}
}
