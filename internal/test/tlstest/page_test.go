package tlstest

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/test/hosttest"
)

// The texts of the page, by their first lines.
const (
	balancerText = "/etc/natspread/natspread.toml"
	nginxText    = "/etc/nginx/conf.d/www.conf"
	haproxyText  = "/etc/haproxy/haproxy.cfg"
	aloneText    = "/etc/natspread/natspread.toml: on the balancer"
)

// fenced is a block of a configuration, whose first line is a comment that names its file.
var fenced = regexp.MustCompile("(?ms)^```(?:toml|nginx|haproxy)\n(# (.*?)\n.*?)^```$")

// page returns the texts of docs/tls.md.
func page(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/tls.md")
	hosttest.Must(t, err)
	texts := map[string]string{}
	for _, match := range fenced.FindAllStringSubmatch(string(text), -1) {
		texts[match[2]] = match[1]
	}
	return texts
}

// TestPage has no text that the tests here do not know, and so do not run.
func TestPage(t *testing.T) {
	var names []string
	for name := range page(t) {
		names = append(names, name)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{haproxyText, balancerText, aloneText, nginxText}, names); diff != "" {
		t.Errorf("(-known +on the page):\n%s", diff)
	}
}
