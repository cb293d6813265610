package render

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestRenderIsLinear counts what is allocated for the rules of many services, and of a service
// with many listen addresses: for four times as many, about four times as much.
func TestRenderIsLinear(t *testing.T) {
	address := func(i int) string { return fmt.Sprintf("192.%d.%d.%d", i>>14, i>>7&127, 1+i&127) }
	services := func(keys string) func(n int) string {
		return func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "[[service]]\nname = \"s%d\"\nlisten = \"%s:80\"\nbackends = [\"10.0.%d.%d:80\", \"10.1.0.1:%d\"]\n%s\n", i, address(i), i>>7, 1+i&127, 1+i, keys)
			}
			return b.String()
		}
	}
	for name, text := range map[string]func(n int) string{
		"services":         services(""),
		"accepting":        services(`forward = "accept"`),
		"by slot":          services("algorithm = \"source\"\nslots = 16"),
		"with takeover":    services("algorithm = \"source\"\nslots = 16\nsnat = \"none\"\ntakeover = true\nforward = \"accept\""),
		"in turn":          services(`algorithm = "round-robin"`),
		"listen addresses": func(n int) string { return listening(n, address) },
	} {
		allocated := func(n int) float64 {
			cfg, err := config.Parse("f.toml", []byte(text(n)))
			if err != nil {
				t.Fatal(name, err)
			}
			return testing.AllocsPerRun(1, func() {
				for _, table := range New(cfg).All() {
					rules.EncodeFile(table)
				}
			})
		}
		if few, many := allocated(500), allocated(2000); many > 5*few {
			t.Errorf("%s: %.0f allocations for 500, and %.0f for 2,000", name, few, many)
		}
	}
}

// listening returns the config of a service with n listen addresses.
func listening(n int, address func(i int) string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q", address(i)+":80")
	}
	return fmt.Sprintf("[[service]]\nname = \"web\"\nlisten = [%s]\nbackends = [\"10.0.0.1:80\"]\n", strings.Join(list, ", "))
}
