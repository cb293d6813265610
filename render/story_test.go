package render

import (
	"flag"
	"fmt"
	"math/big"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/storytest"
)

// update rewrites what the stories want with what they get.
var update = flag.Bool("update", false, "rewrite the rules and walks of testdata/render")

// storyDir holds one txtar per story: a comment with its reason, natspread.toml, the tables of the
// families that have services as rules.v4 and rules.v6, the parts of the filter and mangle tables
// that are not empty as filter.v4 and mangle.v6, and walk, where questions stand with their answers
// indented below. With health, lines of SERVICE out BACKEND or SERVICE joined BACKEND, the tables
// are those of the overlay in which these backends are that.
const storyDir = "../testdata/render"

// TestStories renders each story and compares tables and walks with what it wants.
func TestStories(t *testing.T) {
	t.Parallel()
	paths := storytest.Paths(t, storyDir, 30)
	if first := filepath.Base(paths[0]); first != "article.txtar" {
		t.Errorf("the first story is %s", first)
	}
	storytest.Each(t, paths, *update, retold)
}

// retold returns the story as the code tells it now.
func retold(t *testing.T, story *txtar.Archive) *txtar.Archive {
	t.Helper()
	files := map[string][]byte{}
	for _, file := range story.Files {
		files[file.Name] = file.Data
	}
	cfg, err := config.Parse("natspread.toml", files["natspread.toml"])
	if err != nil {
		t.Fatal(err)
	}
	told := &txtar.Archive{Comment: story.Comment, Files: []txtar.File{{Name: "natspread.toml", Data: files["natspread.toml"]}}}
	if health, ok := files["health"]; ok {
		told.Files = append(told.Files, txtar.File{Name: "health", Data: health})
		choose(t, cfg, string(health))
	}
	plan := New(cfg)
	mustKeepPromises(t, cfg)
	for _, family := range rules.Families() {
		table := plan.Of(family)
		if table.Empty() != !hasFamily(cfg, family) {
			t.Errorf("the %v table is empty: %v", family, table.Empty())
		}
	}
	told.Files = append(told.Files, tableFiles(plan)...)
	if walk, ok := files["walk"]; ok {
		told.Files = append(told.Files, txtar.File{Name: "walk", Data: walked(t, plan, string(walk))})
	}
	return told
}

// tableFiles returns the tables of a plan that are not empty, each as a file.
func tableFiles(plan rules.Tables) []txtar.File {
	var files []txtar.File
	for _, family := range rules.Families() {
		for _, table := range []rules.Table{plan.Of(family), plan.Filter(family), plan.Mangle(family)} {
			name := table.Name.String()
			if table.Name == rules.NAT {
				name = "rules"
			}
			if !table.Empty() {
				files = append(files, txtar.File{Name: fmt.Sprintf("%s.v%s", name, family.String()[3:]), Data: table.Text()})
			}
		}
	}
	return files
}

// choose makes of a config what health checks made of it.
func choose(t *testing.T, cfg config.Config, health string) {
	t.Helper()
	for line := range strings.Lines(health) {
		words := strings.Fields(line)
		found := 0
		for _, service := range cfg.Services {
			for i := range service.Backends {
				if b := &service.Backends[i]; len(words) == 3 && service.Name == words[0] && b.String() == words[2] {
					b.Out, b.Joined = words[1] == "out", words[1] == "joined"
					found++
				}
			}
		}
		if found != 1 {
			t.Fatalf("cannot read %q", line)
		}
	}
}

// hasFamily tells whether a config has a service of the family.
func hasFamily(cfg config.Config, family rules.Family) bool {
	for _, service := range cfg.Services {
		if rules.FamilyOf(service.Backends[0].Addr) == family {
			return true
		}
	}
	return false
}

// walked answers the questions of a walk anew.
func walked(t *testing.T, plan rules.Tables, walk string) []byte {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(walk) {
		if strings.HasPrefix(line, " ") {
			continue // an old answer
		}
		builtIn, packet := question(t, strings.Fields(line))
		table := plan.Of(rules.FamilyOf(packet.Destination))
		switch builtIn {
		case rules.Forward:
			table = plan.Filter(table.Family)
		case "MANGLE":
			table, builtIn = plan.Mangle(table.Family), rules.Forward
		}
		outcomes, err := walkTo(table, builtIn, packet)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(line)
		left := big.NewRat(1, 1)
		for _, outcome := range outcomes {
			left.Sub(left, outcome.Share)
			target := strings.TrimPrefix(string(rules.Rule{Target: outcome.Target}.AppendText(nil)), "-j ")
			fmt.Fprintf(&b, "    %s: %s\n", target, fraction(outcome.Share))
		}
		if left.Sign() != 0 {
			fmt.Fprintf(&b, "    untouched: %s\n", fraction(left))
		}
	}
	return []byte(b.String())
}

// fraction writes a share exactly as long as that can be read: each random match
// makes the denominator 2^31 times as large.
func fraction(share *big.Rat) string {
	switch bits := share.Denom().BitLen(); {
	case bits < 14:
		return share.RatString()
	case bits < 64:
		return share.FloatString(12) + " = " + share.RatString()
	default:
		return share.FloatString(20)
	}
}

// question reads "CHAIN PROTOCOL DESTINATION:PORT [local] [in INTERFACE] [from SOURCE[:PORT]]
// [asked ADDRESS:PORT] [expected] [midstream]": asked is what the client had asked for, expected
// what a helper announced, and midstream what began at another balancer. The chain MANGLE is
// FORWARD of the mangle table.
func question(t *testing.T, words []string) (builtIn string, packet rules.Packet) {
	t.Helper()
	if len(words) < 3 {
		t.Fatalf("cannot read the question %q", words)
	}
	to := netip.MustParseAddrPort(words[2])
	packet = rules.Packet{Protocol: words[1], Destination: to.Addr(), Port: to.Port(), Source: stranger(rules.FamilyOf(to.Addr()))}
	for rest := words[3:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] == "local" || rest[0] == "expected" {
			packet.Local = packet.Local || rest[0] == "local"
			packet.Expected, packet.SourceTranslated = rest[0] == "expected", rest[0] == "expected"
			continue
		}
		if packet.Midstream = packet.Midstream || rest[0] == "midstream"; rest[0] == "midstream" {
			continue
		}
		if len(rest) < 2 {
			t.Fatalf("cannot read the question %q", words)
		}
		switch value := rest[1]; rest[0] {
		case "in":
			packet.InInterface = value
		case "from":
			if from, err := netip.ParseAddrPort(value); err == nil {
				packet.Source, packet.SourcePort = from.Addr(), from.Port()
				break
			}
			packet.Source = netip.MustParseAddr(value)
		case "asked":
			asked := netip.MustParseAddrPort(value)
			packet.OriginalAddress, packet.OriginalPort = asked.Addr(), asked.Port()
		default:
			t.Fatalf("cannot read %q in the question %q", rest[0], words)
		}
		rest = rest[1:]
	}
	return words[0], packet
}

// stranger is a client's address that no config of the tests names.
func stranger(family rules.Family) netip.Addr {
	if family == rules.IPv6 {
		return netip.MustParseAddr("2001:db8:ffff::9")
	}
	return netip.MustParseAddr("203.0.113.9")
}
