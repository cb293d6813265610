package units

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// update rewrites the wanted part of the goldens.
var update = flag.Bool("update", false, "rewrite the goldens")

// stories returns the txtar files of one kind, and fails when there is none.
func stories(t *testing.T, kind string) []string {
	t.Helper()
	paths, err := filepath.Glob("../testdata/units/" + kind + "-*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories of %s: %v", kind, err)
	}
	return paths
}

// story reads one txtar file as a map from name to contents.
func story(t *testing.T, path string) (*txtar.Archive, map[string]string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Errorf("%s does not say why it exists", path)
	}
	files := map[string]string{}
	for _, file := range archive.Files {
		files[file.Name] = string(file.Data)
	}
	return archive, files
}

func TestText(t *testing.T) { goldens(t, "text", Text) }

func TestDropIn(t *testing.T) { goldens(t, "dropin", DropIn) }

func TestHealthText(t *testing.T) { goldens(t, "health", HealthText) }

func TestPrometheus(t *testing.T) {
	goldens(t, "prometheus", func(program string) ([]byte, error) { return testDropIn(t, program).text("") })
}

// goldens compares what a function writes for a program with the stories of one kind.
func goldens(t *testing.T, kind string, write func(program string) ([]byte, error)) {
	for _, path := range stories(t, kind) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, files := story(t, path)
			got, err := write(strings.TrimSuffix(files["program"], "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				archive.Files[1].Data = got
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(files[archive.Files[1].Name], string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", archive.Files[1].Name, diff)
			}
		})
	}
}

func TestTextRefuses(t *testing.T) {
	const shape, bytes = "must be an absolute path", "systemd runs no program with"
	for program, want := range map[string]string{
		"":                                   shape,
		"/":                                  shape,
		"natspread":                          shape,
		"./natspread":                        shape,
		"/usr/../natspread":                  shape,
		"/usr//natspread":                    shape,
		"/usr/natspread/":                    shape,
		"-/usr/natspread":                    shape,
		"/natspread\nExecStartPre=/bin/evil": bytes,
		"/nat\tspread":                       bytes,
		"/nat\x00spread":                     bytes,
		"/nat\x1b[31mspread":                 bytes,
		"/nat\x7fspread":                     bytes,
		"/nat\u0085spread":                   bytes,
		"/nat\u2028spread":                   bytes,
		"/nat\xffspread":                     bytes,
		`/nat\spread`:                        bytes,
		`/nat"spread`:                        bytes,
		"/nat'spread":                        bytes,
	} {
		for _, write := range []func(string) ([]byte, error){Text, DropIn, HealthText} {
			text, err := write(program)
			if err == nil || !strings.Contains(err.Error(), want) || text != nil {
				t.Errorf("%q: %v", program, err)
			}
		}
	}
}

// go-systemd writes any of these as they stand, each of which changes what the next line means.
func TestSerializeRefuses(t *testing.T) {
	for _, bad := range []section{
		{"Unit", []line{{"Description", "a\nb"}}},
		{"Unit", []line{{"Description", "a\rb"}}},
		{"Unit", []line{{"Description", `a\`}}},
		{"Unit", []line{{"Description", ""}}},
		{"Unit", []line{{"Descr\niption", "a"}}},
		{"Unit]\n[Service", []line{{"Description", "a"}}},
		{"", []line{{"Description", "a"}}},
		{"Service", []line{{"ExecStop", ""}}},
	} {
		if text, err := serialize([]section{bad}); err == nil {
			t.Errorf("%+v: written as %q", bad, text)
		}
	}
}

// What the unit holds is what systemd's own reader gets out of it: one program, one word for its verb.
func TestTextReadsBack(t *testing.T) {
	text, err := Text("/usr/local/sbin/natspread")
	if err != nil {
		t.Fatal(err)
	}
	options, err := unit.DeserializeOptions(bytes.NewReader(theUnit().stamp(text)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, option := range options {
		got[option.Name] = append(got[option.Name], option.Value)
	}
	for name, want := range map[string]string{
		"ExecStart":  "/usr/local/sbin/natspread restore --wait 75s",
		"ExecReload": "/usr/local/sbin/natspread restore --wait 75s",
		"ExecStop":   "/usr/local/sbin/natspread stop",
		"WantedBy":   "multi-user.target",
	} {
		if diff := cmp.Diff([]string{want}, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
