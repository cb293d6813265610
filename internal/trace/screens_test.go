package trace

import (
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/internal/test/screentest"
	"natspread/render"
)

// update rewrites the goldens of screens.
var update = flag.Bool("update", false, "rewrite the screens of explanations in testdata/screens")

// explainedOn explains a connection to a config's service on a terminal.
func explainedOn(t *testing.T, to, from, text string) func(screen.Screen) string {
	t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort(to)
	packet := rules.Packet{Protocol: "tcp", Destination: address.Addr(), Port: address.Port(), Local: true}
	if from != "" {
		packet.Source = netip.MustParseAddr(from)
	}
	explained, err := Explain(render.New(cfg), packet)
	if err != nil {
		t.Fatal(err)
	}
	question := Question{Packet: packet, Service: cfg.Services[0].Name}
	return func(on screen.Screen) string { return question.Text(explained, false, on) }
}

// TestScreens compares explanations on terminals of 80 and of 120 columns.
func TestScreens(t *testing.T) {
	t.Parallel()
	const three = "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\"]\n"
	var many []string
	for i := range 12 {
		many = append(many, fmt.Sprintf("\"[fd00:1111:2222:3333:4444:5555:6666:%d]:8443\"", 7701+i))
	}
	long := "[[service]]\nname = \"the-longest-name-of-a-service-32\"\nlisten = \"[2001:db8:1111:2222:3333:4444:5555:6666]:443\"\n" +
		"snat = \"2001:db8:1111:2222:3333:4444:5555:9999\"\nforward = \"accept\"\ndeny = \"2001:db8:bad::/48\"\nbackends = [" + strings.Join(many, ", ") + "]\n"
	screentest.Each(t, "../../testdata/screens", *update, map[string]screentest.Shown{
		"explain":      {Why: "What happens to a connection: the rules that it meets, and the backends.", Text: explainedOn(t, "192.0.2.10:80", "", three)},
		"explain-slot": {Why: "A client keeps its backend.", Text: explainedOn(t, "192.0.2.10:80", "198.51.100.7", three+"algorithm = \"source\"\nlocal = false\n")},
		"explain-ipv6": {Why: "Long addresses and a long name, a tree of chains, and the rules of filter.", Text: explainedOn(t, "[2001:db8:1111:2222:3333:4444:5555:6666]:443", "", long)},
	})
}
