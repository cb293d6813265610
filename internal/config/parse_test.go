package config

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
)

// oneService is the shortest config there is.
const oneService = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80"]
`

// errorsOf parses text that must be refused.
func errorsOf(t *testing.T, text string) source.Errors {
	t.Helper()
	_, err := Parse("f.toml", []byte(text))
	var all source.Errors
	if !errors.As(err, &all) || len(all) == 0 {
		t.Fatalf("Parse(%q) returned %v, want Errors", text, err)
	}
	return all
}

// TestParseBytes covers what a txtar cannot hold: bytes that are no text.
func TestParseBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		text         string
		line, column int
		message      string
	}{
		"byte order mark":        {"\ufeff" + oneService, 1, 1, "byte order mark"},
		"UTF-16":                 {"\xff\xfe[\x00[\x00", 1, 1, "UTF-16"},
		"binary":                 {"\x7fELF\x02\x01\x01\x00\x00", 1, 1, "control character"},
		"NUL in a string":        {strings.Replace(oneService, "web", "we\x00b", 1), 2, 11, "control character"},
		"NUL in a comment":       {"# a\x00b\n" + oneService, 1, 4, "control character"},
		"escape in a string":     {strings.Replace(oneService, "web", "\x1b[31mweb", 1), 2, 9, "control character"},
		"broken UTF-8":           {strings.Replace(oneService, "10.0.0.1", "10.0.0.\xff", 1), 4, 21, "not UTF-8"},
		"broken UTF-8 comment":   {oneService + "# \xc3(\n", 5, 3, "not UTF-8"},
		"overlong UTF-8":         {oneService + "# \xc0\x80\n", 5, 3, "not UTF-8"},
		"lone carriage return":   {strings.ReplaceAll(oneService, "\n", "\r"), 1, 12, "carriage return"},
		"delete character":       {oneService + "#\x7f", 5, 2, "control character"},
		"NUL after good service": {oneService + "\x00", 5, 1, "control character"},
	} {
		t.Run(name, func(t *testing.T) {
			all := errorsOf(t, tt.text)
			e := all[0]
			if len(all) != 1 || e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Message, tt.message) || e.Fix == "" {
				t.Errorf("got %d errors, the first %+v, want one at %d:%d about %q", len(all), e, tt.line, tt.column, tt.message)
			}
			if i := strings.IndexFunc(all.Error(), func(r rune) bool { return r != '\n' && unwanted(r) }); i >= 0 {
				t.Errorf("the error would write a raw control character: %q", all.Error())
			}
		})
	}
}

// unwanted reports whether a terminal would obey r.
func unwanted(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd || r == 0xfeff }

// TestParseReplacementCharacter keeps a well-formed U+FFFD apart from bytes that
// are no UTF-8.
func TestParseReplacementCharacter(t *testing.T) {
	if _, err := Parse("f.toml", []byte("# \ufffd é 日本\n"+oneService)); err != nil {
		t.Error(err)
	}
}

// TestParseCRLF holds files with the line ends of Windows to the same result
// and the same places.
func TestParseCRLF(t *testing.T) {
	for _, s := range stories(t) {
		text := string(s.file(t, "natspread.toml").Data)
		if strings.Contains(text, `"""`) {
			continue // there the line ends are part of the value
		}
		c, err := Parse("f.toml", []byte(text))
		c2, err2 := Parse("f.toml", []byte(strings.ReplaceAll(text, "\n", "\r\n")))
		if fmt.Sprint(err) != fmt.Sprint(err2) || dump(c) != dump(c2) {
			t.Errorf("%s: with LF:\n%v\nwith CRLF:\n%v", s.path, err, err2)
		}
	}
}

// TestParseNoNewlineAtEnd lets the last line go without its newline.
func TestParseNoNewlineAtEnd(t *testing.T) {
	if _, err := Parse("f.toml", []byte(strings.TrimSpace(oneService))); err != nil {
		t.Error(err)
	}
}

// TestParseRelated names the other line where two places clash.
func TestParseRelated(t *testing.T) {
	all := errorsOf(t, oneService+strings.Replace(oneService, "10.0.0.1", "10.0.0.2", 1))
	if len(all) != 2 || all[0].Line != 6 || all[0].Related.Line != 2 || all[1].Line != 7 || all[1].Related.Line != 3 {
		t.Errorf("got %+v, want line 6 related to 2 and line 7 to 3", all)
	}
}

// TestParseBackendBound holds the number of backends to MaxBackends.
func TestParseBackendBound(t *testing.T) {
	with := func(n int) []byte {
		var b strings.Builder
		b.WriteString("[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [\n")
		for i := range n {
			fmt.Fprintf(&b, "\"10.0.%d.%d:80\",\n", i/250, 1+i%250)
		}
		b.WriteString("]\n")
		return []byte(b.String())
	}
	c, err := Parse("f.toml", with(MaxBackends))
	if err != nil || len(c.Services[0].Backends) != MaxBackends {
		t.Errorf("%d backends: %v", MaxBackends, err)
	}
	all := errorsOf(t, string(with(MaxBackends+1)))
	if len(all) != 1 || all[0].Line != 5+MaxBackends {
		t.Errorf("one backend too many: got %v, want one error on line %d", all, 5+MaxBackends)
	}
}

// TestEveryKeyHasAStory keeps the examples that fixes show true: each parses as
// the line it is.
func TestEveryKeyHasAStory(t *testing.T) {
	for _, k := range serviceKeys {
		var lines []string
		for _, line := range strings.Split(strings.TrimSpace(oneService), "\n") {
			if !strings.HasPrefix(line, k.Name+" ") && !(k.Name == "pool" && strings.HasPrefix(line, "backends ")) {
				lines = append(lines, line)
			}
		}
		lines = append(lines, k.Example)
		if k.Name == "hairpin" || k.Name == "takeover" {
			lines = append(lines, `snat = "none"`)
		}
		if k.Name == "slots" || k.Name == "source_prefix" || k.Name == "takeover" {
			lines = append(lines, `algorithm = "source"`)
		}
		if k.Name == "refused" {
			lines = append(lines, exampleOf("allow"))
		}
		if k.Name == "ports" {
			lines = strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), ":80", ""), "\n")
		}
		if k.Name == "pool" {
			lines = append(lines, "[pool.web]", exampleOf("backends"))
		}
		if k.Name == "min_up" || k.Name == "on_down" {
			lines = append(lines, `check = "tcp"`)
		}
		if _, err := Parse("f.toml", []byte(strings.Join(lines, "\n"))); err != nil {
			t.Errorf("the example of %s does not parse: %v", k.Name, err)
		}
		if !strings.Contains(example, k.Name+" = ") {
			t.Errorf("example.toml does not name %s", k.Name)
		}
	}
	for _, name := range slices.Concat(field.Names(backendKeys), field.Names(checkKeys)) {
		if !strings.Contains(example, name+" = ") {
			t.Errorf("example.toml does not name %s", name)
		}
	}
}

// TestNoStringLeaves holds that a Config is made of typed values: the only bare
// strings are the two that were checked letter by letter, and those of a check, none of which
// reaches a rule (see render's TestCheckIsNoRule).
func TestNoStringLeaves(t *testing.T) {
	var bare []string
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		switch {
		case typ.PkgPath() == "net/netip":
		case typ.Kind() == reflect.Slice:
			walk(path, typ.Elem())
		case typ.Kind() == reflect.Struct:
			for i := range typ.NumField() {
				walk(path+"."+typ.Field(i).Name, typ.Field(i).Type)
			}
		case typ.Kind() == reflect.Interface || typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Map:
			t.Errorf("%s is a %s", path, typ)
		case typ == reflect.TypeFor[string]():
			bare = append(bare, path)
		}
	}
	walk("Config", reflect.TypeFor[Config]())
	want := []string{"Config.Services.Name", "Config.Services.Audience.Interfaces"}
	for _, name := range []string{"Path", "Host", "Expect", "TLSName", "Send", "Receive"} {
		want = append(want, "Config.Services.Check."+name)
	}
	if !slices.Equal(bare, want) {
		t.Errorf("bare strings %v, want %v", bare, want)
	}
}

// TestImports keeps the package and those below it to what they may know, and the parser's
// unstable API to one file. Of time it knows durations, and no clock.
func TestImports(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.go", "*/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s is %q, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	durations := []string{"Duration", "ParseDuration", "Millisecond", "Second", "Minute", "Hour"}
	var unstable []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if at, ok := n.(*ast.SelectorExpr); ok && fmt.Sprint(at.X) == "time" && !slices.Contains(durations, at.Sel.Name) {
				t.Errorf("%s uses time.%s", name, at.Sel.Name)
			}
			return true
		})
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			switch {
			case err != nil:
				t.Fatal(err)
			case path == "github.com/pelletier/go-toml/v2/unstable":
				unstable = append(unstable, name)
			case strings.HasPrefix(path, "natspread/") && !strings.HasPrefix(path, "natspread/internal/config") && path != "natspread/internal/suggest" && path != "natspread/internal/slots" && path != "natspread/internal/subnet" && path != "natspread/internal/text", path == "os/exec", path == "net":
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if !slices.Equal(unstable, []string{"source/toml.go"}) {
		t.Errorf("the unstable API is in %v, want source/toml.go alone", unstable)
	}
}

// TestString writes typed values the way the config does.
func TestString(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	for want, got := range map[string]fmt.Stringer{
		"192.0.2.10:80":            Listen{Addr: four, Ports: Ports{First: 80, Last: 80}},
		"[2001:db8::10]:8000-8010": Listen{Addr: six, Ports: Ports{First: 8000, Last: 8010}},
		"*:80":                     Listen{Addr: netip.Addr{}, Ports: Ports{First: 80, Last: 80}},
		"192.0.2.10":               Backend{Addr: four, Weight: 1},
		"2001:db8::10":             Backend{Addr: six, Weight: 1},
		"[2001:db8::10]:8080":      Backend{Addr: six, Port: 8080, Weight: 1},
		"masquerade":               SNAT{},
		"none":                     SNAT{Mode: None},
		"192.0.2.10 ":              stringer(SNAT{Mode: Address, Addr: four}.String() + " "),
	} {
		if got.String() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// stringer is a string that is its own text.
type stringer string

func (s stringer) String() string { return string(s) }

// TestBounds holds lists to their bounds: one item more is refused at its place.
func TestBounds(t *testing.T) {
	clients := func(n int) string {
		return oneService + "allow = [\n" + repeated(n, func(i int) string { return fmt.Sprintf("\"198.51.%d.%d\",\n", i>>8, i&255) }) + "]\n"
	}
	mapped := func(n int) string {
		return "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10\"\nports = { 80 = 8080 }\nbackends = [\n" +
			repeated(n, func(i int) string { return fmt.Sprintf("\"10.0.%d.%d\",\n", i>>7, 1+i&127) }) + "]\n"
	}
	for name, tt := range map[string]struct {
		text  func(n int) string
		most  int
		above int // how many lines stand above the items
	}{
		"clients":               {clients, MaxClients, 5},
		"backends behind ports": {mapped, maxMappedBackends, 5},
	} {
		if all := faultsOf(tt.text(tt.most)); len(all) > 0 {
			t.Errorf("%s: %d are refused: %v", name, tt.most, all)
		}
		if all := faultsOf(tt.text(tt.most + 1)); len(all) != 1 || all[0].Line != tt.above+tt.most+1 {
			t.Errorf("%s: one too many: got %v, want one error on line %d", name, all, tt.above+tt.most+1)
		}
	}
}

// TestSyntaxErrorInCheck files no key as missing that may stand behind a syntax error.
func TestSyntaxErrorInCheck(t *testing.T) {
	text := "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\n[service.check]\ntype = = 1\nbackends = [\"10.0.0.1:80\"]\n"
	if all := errorsOf(t, text); len(all) != 1 || all[0].Line != 5 {
		t.Errorf("got %v", all)
	}
}
