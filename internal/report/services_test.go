package report

import (
	"strings"
	"testing"

	"natspread/internal/config"
)

// A small share does not look like that of a drained backend.
func TestSmallShare(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("test", []byte(`[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = [
  "10.0.0.1:80",
  { address = "10.0.0.2:80", weight = 65535 },
  { address = "10.0.0.3:80", weight = 0 },
]
`))
	if err != nil {
		t.Fatal(err)
	}
	text := describe(cfg.Services[0], nil, watched{}).Text()
	for _, want := range []string{
		"weight 1      wanted 0.0015 %  observed   0.00 % ", "weight 65535  wanted 100.00 %  observed", "weight 0      wanted  drained  observed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
