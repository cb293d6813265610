package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/screen"
	"natspread/internal/slots"
)

// manual returns the source of a page of the manual.
func manual(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/man", page+".md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// part is a heading of a page with all the text below it.
type part struct{ heading, text string }

// parts returns the parts below the headings of a level, "## " or "### ".
func parts(text, level string) []part {
	var all []part
	for _, chunk := range strings.Split("\n"+text, "\n"+level)[1:] {
		heading, body, _ := strings.Cut(chunk, "\n")
		all = append(all, part{heading, body})
	}
	return all
}

// section returns the text of one section.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	for _, p := range parts(text, "## ") {
		if p.heading == heading {
			return p.text
		}
	}
	t.Fatalf("no section %s", heading)
	return ""
}

// headings returns the headings of a section.
func headings(t *testing.T, text, name string) []string {
	t.Helper()
	var names []string
	for _, p := range parts(section(t, text, name), "### ") {
		names = append(names, p.heading)
	}
	return names
}

// terms returns the bold words of each line that a ":" line explains.
func terms(text string) []string {
	var all []string
	for _, line := range regexp.MustCompile(`(?m)^(\*\*.*)\n:`).FindAllStringSubmatch(text, -1) {
		for _, bold := range regexp.MustCompile(`\*\*([^*]+)\*\*`).FindAllStringSubmatch(line[1], -1) {
			all = append(all, bold[1])
		}
	}
	return all
}

// blocks returns the lines of the blocks of code.
func blocks(text string) []string {
	var lines []string
	for _, block := range regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(block[1], "\n")...)
	}
	return lines
}

// typedFlags returns the names of flags as they are typed.
func typedFlags(flags []cli.Flag) []string {
	var names []string
	for _, flag := range cmdline.Described(flags) {
		names = append(names, flag.Names...)
	}
	return names
}

func TestManualVerbs(t *testing.T) {
	var verbs []string
	for _, command := range (&session{}).program().Verbs {
		verbs = append(verbs, command.Name)
	}
	page := manual(t, "natspread.8")
	if diff := cmp.Diff(append(verbs, "help"), headings(t, page, "VERBS")); diff != "" {
		t.Errorf("-program +manual:\n%s", diff)
	}
	for _, verb := range verbs {
		if !regexp.MustCompile(`\*\*(natspread )?` + verb + `\*\*`).MatchString(section(t, page, "SYNOPSIS")) {
			t.Errorf("the synopsis has no %s", verb)
		}
	}
}

// TestManualSynopsis looks for each flag of a verb in the synopsis of that verb.
func TestManualSynopsis(t *testing.T) {
	synopsis := section(t, manual(t, "natspread.8"), "SYNOPSIS")
	for _, verb := range (&session{}).program().Verbs {
		lines := regexp.MustCompile(`(?m)^\*\*natspread `+verb.Name+`\*\*(.*\n)+?$`).FindAllString(synopsis, -1)
		for _, flag := range typedFlags(verb.Flags) {
			if !strings.Contains(strings.Join(lines, ""), "**"+flag+"**") {
				t.Errorf("the synopsis of %s has no %s", verb.Name, flag)
			}
		}
	}
}

func TestManualFlags(t *testing.T) {
	page := manual(t, "natspread.8")
	common := append(typedFlags(commonFlags()), "--help", "-h")
	if diff := cmp.Diff(common, terms(section(t, page, "FLAGS"))); diff != "" {
		t.Errorf("-program +manual:\n%s", diff)
	}
	for _, verb := range parts(section(t, page, "VERBS"), "### ") {
		var own []string
		for _, command := range (&session{}).program().Verbs {
			if command.Name == verb.heading {
				own = typedFlags(command.Flags)
			}
		}
		if diff := cmp.Diff(own, terms(verb.text)); diff != "" {
			t.Errorf("%s: -program +manual:\n%s", verb.heading, diff)
		}
	}
}

// TestManualNamesNoOtherFlag looks for each flag that the pages name in the program.
// Those of other programs stand in bold behind the program's name, or in blocks.
func TestManualNamesNoOtherFlag(t *testing.T) {
	known := append(typedFlags(commonFlags()), "--help", "-h")
	for _, verb := range (&session{}).program().Verbs {
		known = append(known, typedFlags(verb.Flags)...)
	}
	foreign := regexp.MustCompile(`(?ms)\*\*(sysctl|conntrack|iptables|iptables-restore) [^*]*\*\*|` + "^```.*?^```$")
	for _, page := range []string{"natspread.8", "natspread.toml.5", "natspread-json.5"} {
		text := foreign.ReplaceAllString(manual(t, page), "")
		named := regexp.MustCompile(`(?:^|[\s*\[(])(--?[a-z0-9][a-z0-9-]*)\b`).FindAllStringSubmatch(text, -1)
		for _, flag := range named {
			if !slices.Contains(known, flag[1]) {
				t.Errorf("%s: natspread has no %s", page, flag[1])
			}
		}
		if page == "natspread.8" && len(named) < len(known)/2 {
			t.Errorf("%s: only %d flags found", page, len(named))
		}
	}
}

// TestManualExamples takes each command line of natspread's apart, as the program
// would.
func TestManualExamples(t *testing.T) {
	program := (&session{}).program()
	program.Read = func(*cli.Context) error { return nil }
	for _, verb := range program.Verbs {
		verb.Action = program.Read
	}
	lines := 0
	for _, line := range blocks(manual(t, "natspread.8")) {
		commands, _, _ := strings.Cut(line, " #")
		for _, command := range strings.Split(commands, "|") {
			words := strings.Fields(command)
			if len(words) == 0 || words[0] != "natspread" {
				continue
			}
			lines++
			if _, err := program.Run(t.Context(), words[1:]); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if lines < 5 {
		t.Errorf("only %d command lines", lines)
	}
}

// TestManualExplains compares the explanation in the manual with that of the program, on a terminal on which the
// manual, further in, has room.
func TestManualExplains(t *testing.T) {
	drafted := inProcess("init", "--config", "-", "--listen", "192.0.2.10:80",
		"--backend", "10.0.0.1:80", "--backend", "10.0.0.2:80", "--backend", "10.0.0.3:80").want(t, exitDone)
	explained := natspreadWith(drafted.out, noSystemd, "render", "--explain", "192.0.2.10:80", "--config", "-").want(t, exitDone)
	var shown strings.Builder
	for line := range strings.Lines(explained.out) {
		shown.WriteString(screen.Screen{Columns: 67}.Wrap(strings.TrimSuffix(line, "\n")) + "\n")
	}
	if !strings.Contains(manual(t, "natspread.8"), "```\n"+shown.String()+"```\n") {
		t.Errorf("the manual does not have:\n%s", shown.String())
	}
}

func TestManualExitCodes(t *testing.T) {
	var codes []string
	for _, exit := range exitCodes() {
		codes = append(codes, fmt.Sprint(exit.Code))
	}
	text := section(t, manual(t, "natspread.8"), "EXIT STATUS")
	stated := slices.DeleteFunc(terms(text), func(term string) bool { return strings.Trim(term, "0123456789") != "" })
	if diff := cmp.Diff(codes, stated); diff != "" {
		t.Errorf("-program +manual:\n%s", diff)
	}
}

// configKeys returns the keys that a table has, as the complaint on an unknown one
// lists them.
func configKeys(t *testing.T, text string) []string {
	t.Helper()
	_, err := config.Parse("test", []byte(text))
	var wrong config.Errors
	if errors.As(err, &wrong) {
		for _, e := range wrong {
			if _, list, found := strings.Cut(e.Fix, " has "); found && strings.HasPrefix(e.Fix, "take it out; ") {
				return strings.Split(list, ", ")
			}
		}
	}
	t.Fatalf("no complaint on an unknown key: %v", err)
	return nil
}

func TestManualConfigKeys(t *testing.T) {
	page := manual(t, "natspread.toml.5")
	for name, text := range map[string]string{
		"SERVICE KEYS": "[[service]]\nqqqqqqqq = 1\n",
		"BACKEND KEYS": "[[service]]\nbackends = [{ qqqqqqqq = 1 }]\n",
		"CHECK KEYS":   "[[service]]\n[service.check]\nqqqqqqqq = 1\n",
	} {
		want, got := configKeys(t, text), headings(t, page, name)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -program +manual:\n%s", name, diff)
		}
	}
}

// TestManualDefaults writes each default that the manual states into a config, which
// must not change by that; and each required key must be one.
func TestManualDefaults(t *testing.T) {
	page := manual(t, "natspread.toml.5")
	service := "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [BACKEND]\n"
	backend := `{ address = "10.0.0.1:80" }`
	defaults := 0
	for _, name := range []string{"SERVICE KEYS", "BACKEND KEYS", "CHECK KEYS"} {
		for _, key := range parts(section(t, page, name), "### ") {
			stated := regexp.MustCompile("(?m)Default:\\s(`([^`]+)`|\\S)").FindStringSubmatch(key.text)
			required := strings.HasPrefix(strings.TrimSpace(key.text), "Required.")
			if required == (stated != nil) {
				t.Errorf("%s: it is either required or has a default", key.heading)
				continue
			}
			if required || stated[2] == "" || key.heading == "hairpin" { // hairpin wants snat = "none"
				continue
			}
			defaults++
			line := key.heading + " = " + stated[2]
			service := service
			if key.heading == "slots" || key.heading == "source_prefix" {
				service += "algorithm = \"source\"\n"
			}
			if key.heading == "refused" {
				service += "deny = \"198.51.100.7\"\n"
			}
			if key.heading == "min_up" || key.heading == "on_down" || key.heading == "backup" {
				service += "check = \"tcp\"\n"
			}
			if name == "CHECK KEYS" {
				service += "[service.check]\ntype = \"https\"\n"
			}
			with, one := service+line, backend
			if name == "BACKEND KEYS" {
				with, one = service, strings.Replace(backend, "}", ", "+line+" }", 1)
			}
			sameConfig(t, strings.Replace(service, "BACKEND", backend, 1), strings.Replace(with, "BACKEND", one, 1))
		}
	}
	if defaults != 24 {
		t.Errorf("%d defaults were tried, not 24", defaults)
	}
	sameConfig(t, strings.Replace(service, "BACKEND", backend, 1)+"snat = \"none\"\n",
		strings.Replace(service, "BACKEND", backend, 1)+"snat = \"none\"\nhairpin = []\n")
}

// sameConfig wants two texts to mean the same.
func sameConfig(t *testing.T, one, other string) {
	t.Helper()
	want, err := config.Parse("without", []byte(one))
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse("with", []byte(other))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("%s\n-without +with:\n%s", other, diff)
	}
}

// TestManualBounds looks for the bounds and the words of the config.
func TestManualBounds(t *testing.T) {
	page := manual(t, "natspread.toml.5")
	for _, want := range []string{
		fmt.Sprintf("at most %d MiB", config.MaxSize>>20),
		fmt.Sprintf("at most %d.", configfiles.Most),
		fmt.Sprintf("at most %d, each", config.MaxBackends),
		fmt.Sprintf("at most %d turns", config.MaxTurns),
		fmt.Sprintf("from 0 to %d", config.MaxWeight),
		`"` + string(config.TCP) + `"`, `"` + string(config.UDP) + `"`, `"` + string(config.SCTP) + `"`,
		`**"` + string(config.Random) + `"**`, `**"` + string(config.RoundRobin) + `"**`, `**"` + string(config.Source) + `"**`, `**"` + string(config.Flow) + `"**`,
		fmt.Sprintf("a power of two from %d to %d", slots.Min, slots.Max),
		fmt.Sprintf("at most %d a second", config.MaxCheckRate),
		`**"` + string(config.CheckTCP) + `"**`, `**"` + string(config.CheckHTTP) + `"**`, `**"` + string(config.CheckHTTPS) + `"**`, `**"` + string(config.CheckUDP) + `"**`,
		`**"` + string(config.Keep) + `"**`,
		`**"masquerade"**`, `**"none"**`,
		`**"` + string(config.Drain) + `"**`, `**"` + string(config.Reset) + `"**`,
	} {
		if !strings.Contains(strings.Join(strings.Fields(page), " "), want) {
			t.Errorf("the manual does not say %s", want)
		}
	}
}

// TestManualConfigs checks each config that is shown, as apply would.
func TestManualConfigs(t *testing.T) {
	examples := regexp.MustCompile("(?ms)^```toml\n(.*?)^```$").FindAllStringSubmatch(manual(t, "natspread.toml.5"), -1)
	whole := ""
	for _, example := range examples {
		if _, err := config.Parse("example", []byte(example[1])); err != nil {
			t.Error(err)
		}
		whole += example[1]
	}
	if _, err := config.Parse("all examples", []byte(whole)); err != nil {
		t.Error(err)
	}
	for _, key := range configKeys(t, "[[service]]\nqqqqqqqq = 1\n") {
		if !strings.Contains(whole, "\n"+key) {
			t.Errorf("no example has the key %s", key)
		}
	}
}
