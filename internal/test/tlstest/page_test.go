package tlstest

import (
	"testing"

	"natspread/internal/test/pagetest"
)

// The texts of the page, by their first lines.
const (
	balancerText = "/etc/natspread/natspread.toml"
	nginxText    = "/etc/nginx/conf.d/www.conf"
	haproxyText  = "/etc/haproxy/haproxy.cfg"
	aloneText    = "/etc/natspread/natspread.toml: on the balancer"
)

// page returns the texts of docs/tls.md.
func page(t testing.TB) map[string]string {
	t.Helper()
	return pagetest.Texts(t, "../../../docs/tls.md", "toml", "nginx", "haproxy")
}

// TestPage has no text that the tests here do not know, and so do not run.
func TestPage(t *testing.T) {
	pagetest.WantNames(t, page(t), haproxyText, balancerText, aloneText, nginxText)
}
