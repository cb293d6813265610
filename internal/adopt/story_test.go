package adopt

import (
	"flag"
	"net/netip"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
	"natspread/internal/test/storytest"
)

// update rewrites what the stories want with what they get.
var update = flag.Bool("update", false, "rewrite the configs and reports of testdata/adopt")

// storyDir holds one txtar per story: a comment with its reason, the rules of a host as old.v4 and old.v6,
// and choices, a flag and its value a line; then the config, the report, what is taken out, and the new
// rules.
const storyDir = "../../testdata/adopt"

// TestStories adopts the rules of each story and compares what comes of it.
func TestStories(t *testing.T) {
	t.Parallel()
	storytest.Each(t, storytest.Paths(t, storyDir, 30), *update, retold)
}

// retold returns the story as the code tells it now.
func retold(_ *testing.T, story *txtar.Archive) *txtar.Archive {
	told := &txtar.Archive{Comment: story.Comment}
	var in Input
	for _, file := range story.Files {
		switch file.Name {
		case "old.v4":
			in.Rules = append(in.Rules, walk.Parse(rules.IPv4, file.Data))
		case "old.v6":
			in.Rules = append(in.Rules, walk.Parse(rules.IPv6, file.Data))
		case "choices":
			in.Choices = choicesOf(string(file.Data))
		default:
			continue
		}
		told.Files = append(told.Files, file)
	}
	result := Adopt(in)
	add := func(name, text string) {
		if text != "" {
			told.Files = append(told.Files, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	add("natspread.toml", string(result.Text))
	add("report", joined(result.Lines(false)))
	add("taken out", joined(result.TakeOutLines()))
	if result.Text != nil {
		for _, table := range result.Tables.All() {
			if !table.Empty() {
				add(map[rules.TableName]string{rules.NAT: "rules", rules.Filter: "filter"}[table.Name]+".v"+table.Family.String()[3:], string(table.Text()))
			}
		}
	}
	return told
}

// joined returns lines as a text.
func joined(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// choicesOf reads the choices of a story.
func choicesOf(text string) (c Choices) {
	for line := range strings.Lines(text) {
		flag, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		c = c.With(flag, value)
	}
	return c
}

// TestLink knows by the route to a backend whether a rule with -o is for it.
func TestLink(t *testing.T) {
	t.Parallel()
	text := "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n" +
		"-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n"
	for link, want := range map[string]string{"eth1": "masquerade", "eth2": "none"} {
		result := Adopt(Input{Rules: []*walk.Ruleset{walk.Parse(rules.IPv4, []byte(text))}, Link: func(netip.Addr) string { return link }})
		if len(result.Config.Services) != 1 || result.Config.Services[0].SNAT.String() != want || !result.Whole() || len(result.Differences) > 0 {
			t.Errorf("by %s: %s", link, joined(result.Lines(false)))
		}
	}
}
