package report

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/restore/generation"
)

// madeFrom returns a generation that was made from a config.
func madeFrom(number int, text string) generation.Generation {
	g := numbered(number)
	g.Config = configfiles.Alone("natspread.toml", []byte(text))
	return g
}

// TestConfigFilesApplied holds what is said of a config file that is, and is not, what the
// loaded generation was made from.
func TestConfigFilesApplied(t *testing.T) {
	t.Parallel()
	const changed = "risk: the config has changes that are not applied -> natspread diff"
	bad := web + "[[service]]\nname = \"x\"\nlistn = \"192.0.2.10:81\"\nbackends = [\"10.0.0.1:81\"]\n"
	for name, c := range map[string]struct {
		text      string
		err       error
		given     generation.Generation
		unapplied bool
		want      []string
	}{
		"applied":                     {text: web, given: madeFrom(3, web)},
		"edited":                      {text: "# Again.\n" + web, given: madeFrom(3, web), unapplied: true, want: []string{changed}},
		"emptied":                     {given: madeFrom(3, web), unapplied: true, want: []string{"risk: apply refuses the config: natspread.toml:1:1: -> natspread check # says what to write instead"}},
		"nothing was applied":         {text: web, given: generation.None()},
		"bad":                         {text: bad, given: madeFrom(3, web), unapplied: true, want: []string{"risk: apply refuses the config: natspread.toml:7:1: -> natspread check # says what to write instead"}},
		"bad, and nothing applied":    {text: bad, given: generation.None(), want: []string{"risk: apply refuses the config: natspread.toml:7:1: -> natspread check # says what to write instead"}},
		"as applied, and bad by now":  {text: bad, given: madeFrom(3, bad)},
		"missing":                     {err: fmt.Errorf("cannot read: %w", fs.ErrNotExist), given: madeFrom(3, web)},
		"not to be read":              {err: errors.New("cannot read config x: it is a FIFO"), given: madeFrom(3, web), want: []string{"risk: cannot tell whether all of the config is applied: cannot read config x: it is a FIFO -> "}},
		"missing, and nothing before": {err: fs.ErrNotExist, given: generation.None()},
	} {
		read := ConfigFiles(func() (configfiles.Set, error) {
			return configfiles.Alone("natspread.toml", []byte(c.text)), c.err
		})
		unapplied, found := read.applied(c.given)
		if unapplied != c.unapplied {
			t.Errorf("%s: unapplied is %v", name, unapplied)
		}
		t.Run(name, func(t *testing.T) { wantFindings(t, found, c.want...) })
	}
	if unapplied, found := ConfigFiles(nil).applied(madeFrom(3, web)); unapplied || found != nil {
		t.Errorf("no file: %v, %v", unapplied, found)
	}
}

// TestRefusing names each service that has no backend left, with a line that undrains one
// when it is typed into a shell.
func TestRefusing(t *testing.T) {
	t.Parallel()
	const (
		drained = "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [{ address = \"10.0.0.1:80\", drain = true }, { address = \"10.0.0.2:80\", weight = 0 }]\n"
		six     = "[[service]]\nname = \"six\"\nlisten = \"[2001:db8::10]:80\"\nbackends = [{ address = \"[fd00::1]:80\", weight = 0 }]\n"
		one     = "[[service]]\nname = \"one\"\nlisten = \"192.0.2.10:81\"\nbackends = [{ address = \"10.0.0.1:81\", drain = true }, \"10.0.0.2:81\"]\n"
	)
	waits := generation.Wanted{Generation: numbered(4), Pending: pendingFor(time.Hour)}
	for name, c := range map[string]struct {
		text   string
		wanted generation.Wanted
		want   []string
	}{
		"none":       {text: web},
		"one of two": {text: one},
		"all": {text: drained + one + six, want: []string{
			"risk: every backend of service web is drained: clients are refused -> natspread undrain web 10.0.0.1:80",
			"risk: every backend of service six is drained: clients are refused -> natspread undrain six '[fd00::1]:80'",
		}},
		"a generation waits": {text: drained, wanted: waits, want: []string{"risk: every backend of service web is drained: clients are refused -> natspread rollback"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantFindings(t, watched{}.refusing(parsed(t, c.text), func() generation.Wanted { return c.wanted }), c.want...)
		})
	}
}

// TestNotesAreRisks asks status and doctor of what is no fault of the kernel's: what status
// notes, doctor calls a risk, and the state stays in sync.
func TestNotesAreRisks(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		said := func(judged Judged, unapplied bool, risks ...string) {
			t.Helper()
			report := s.read(t)
			if report.State != InSync || report.Unapplied != unapplied || len(report.Findings) > 0 {
				t.Errorf("%s, unapplied %v, %v", report.State, report.Unapplied, report.Findings)
			}
			var found []doctor.Finding
			for _, f := range s.examined(t, judged) {
				if !strings.Contains(f.What, "no route leads") {
					found = append(found, f)
				}
			}
			wantFindings(t, found, risks...)
			if judged.Bad != nil {
				return
			}
			if diff := cmp.Diff(NotesOf(found), report.Notes); diff != "" {
				t.Errorf("-risks of doctor +notes of status:\n%s", diff)
			}
		}
		s.config = web
		s.apply(t)
		said(Judged{Config: parsed(t, web)}, false)

		s.config = "# Again.\n" + web
		const changed = "risk: the config has changes that are not applied -> natspread diff"
		said(Judged{Config: parsed(t, web)}, true, changed)
		if s.diff(t).outdated == "" {
			t.Error("diff says that apply would change nothing")
		}
		s.apply(t)
		said(Judged{Config: parsed(t, web)}, false)

		s.config = "listn = 1\n"
		said(Judged{Config: parsed(t, web), Bad: errors.New("no such key")}, true,
			"risk: apply refuses the config, so the other checks use the config of generation 2: no such key -> natspread check # says what to write instead")
		if notes := s.read(t).Notes; len(notes) != 1 || !strings.HasPrefix(notes[0], "apply refuses the config: natspread.toml:1:1: ") {
			t.Errorf("%q", notes)
		}

		s.config = strings.Replace(web, `"10.0.0.1:80"`, `{ address = "10.0.0.1:80", drain = true }`, 1)
		s.apply(t)
		said(Judged{Config: parsed(t, s.config)}, false, "risk: every backend of service web is drained: clients are refused -> natspread undrain web 10.0.0.1:80")
	})
}
