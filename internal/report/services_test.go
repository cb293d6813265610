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
	text := describe(cfg.Services[0], nil, watched{}).Text(plain())
	for _, want := range []string{
		"10.0.0.1:80  -             1  0.0015 %         -", "10.0.0.2:80  -         65535  100.00 %         -", "10.0.0.3:80  drained       0    0.00 %         -",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
