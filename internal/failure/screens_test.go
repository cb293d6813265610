package failure

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/screen"
	"natspread/internal/test/screentest"
)

// update rewrites the goldens of screens.
var update = flag.Bool("update", false, "rewrite the screens of errors in testdata/screens")

// TestScreens compares errors on terminals of 80 and of 120 columns.
func TestScreens(t *testing.T) {
	t.Parallel()
	shown := func(err error) func(screen.Screen) string {
		return func(on screen.Screen) string { return Text(on, err) + "\n" }
	}
	wrong := func(text string) func(screen.Screen) string {
		_, err := config.Parse("/etc/natspread/natspread.toml", []byte(text))
		if !errors.As(err, new(config.Errors)) {
			t.Fatal(err)
		}
		return shown(err)
	}
	backends := make([]string, 8)
	for i := range backends {
		backends[i] = fmt.Sprintf("\"10.0.0.%d:80\"", i+1)
	}
	long := strings.Join(backends, ", ")
	screentest.Each(t, "../../testdata/screens", *update, map[string]screentest.Shown{
		"error":      {Why: "An error with its fix, and one that needs more than a line.", Text: shown(errors.New("cannot read config /etc/natspread/natspread.toml: file does not exist; fix: natspread init --listen 192.0.2.10:80 --backend 10.0.0.1:80; nothing was changed"))},
		"error-bare": {Why: "An error without a fix.", Text: shown(errors.New("another natspread is at work: apply, process 4711, since 3 seconds; it holds /run/natspread/lock, and is waited for no longer"))},
		"error-config": {Why: "Errors of a config, with carets below what is wrong.", Text: wrong("[[service]]\nname = \"Web\"\nlisten = \"192.0.2.10:80\"\nalgoritm = \"random\"\nbackends = [\"10.0.0.1:80\", { address = \"10.0.0.2:80\", wieght = 2 }]\n" +
			"\n[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nprotocol = \"icmp\"\nbackends = [\"10.0.0.1:53\", \"10.0.0.300:53\"]\n")},
		"error-long": {Why: "Carets stay below what is wrong where the line has no room for all of it.", Text: wrong("[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [" + long + ", \"10.0.0.300:80\", " + strings.ReplaceAll(long, "10.0.0", "10.0.1") + "]\n" +
			"\n[[service]]\nname = \"" + strings.Repeat("a-long-name-", 8) + "\"\nlisten = \"192.0.2.10:53\"\nbackends = [\"10.0.0.1:53\"]\n")},
	})
}

// TestNarrow says all of it on a terminal of whatever width.
func TestNarrow(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("natspread.toml", []byte("[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [\"10.0.0.1:80\", \"10.0.0.300:80\"]\n"))
	for columns := range 130 {
		text := Text(screen.Screen{Columns: columns, Styled: true}, err)
		if !strings.Contains(text, "\x1b[31m^") || !strings.Contains(text, "\nfix: write four numbers") {
			t.Errorf("%d columns: %q", columns, text)
		}
	}
}
