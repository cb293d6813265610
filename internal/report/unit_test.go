package report

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/doctor"
	"natspread/restore/generation"
)

// TestUnit puts together what the files say of the unit, and what the running systemd does.
func TestUnit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files doctor.Unit
		said  string
		err   error
		want  doctor.Unit
	}{
		"active":                {files: doctor.Enabled, said: "active", want: "active"},
		"inactive":              {files: doctor.Enabled, said: "inactive", want: "inactive"},
		"failed":                {files: doctor.Enabled, said: "failed", want: "failed"},
		"active, not enabled":   {files: doctor.Disabled, said: "active", want: "disabled"},
		"failed, not enabled":   {files: doctor.Disabled, said: "failed", want: "failed"},
		"masked":                {files: doctor.Masked, said: "inactive", want: "masked"},
		"missing":               {files: doctor.Missing, said: "inactive", want: "missing"},
		"no answer":             {files: doctor.Enabled, err: errors.New("cannot reach systemd"), want: "enabled"},
		"no answer, no systemd": {files: doctor.NoSystemd, err: errors.New("cannot reach systemd"), want: ""},
	} {
		host := Host{Systemd: func(context.Context, string) (string, error) { return c.said, c.err }}
		if unit := host.unit(t.Context(), c.files); unit != c.want {
			t.Errorf("%s: %q, not %q", name, unit, c.want)
		}
	}
	if unit := (Host{}).unit(t.Context(), doctor.Enabled); unit != doctor.Enabled {
		t.Errorf("nobody to ask: %q", unit)
	}
}

// TestFailedUnit finds a unit that failed, and starts it where that ends no trial.
func TestFailedUnit(t *testing.T) {
	t.Parallel()
	const what = "broken: natspread.service has failed: systemd neither stops nor reloads it; journalctl -b -u natspread.service says why -> systemctl reset-failed natspread.service"
	waits := generation.Wanted{Generation: numbered(4), Pending: pendingFor(time.Hour)}
	for name, c := range map[string]struct {
		unit   doctor.Unit
		files  doctor.Unit
		wanted generation.Wanted
		want   []string
	}{
		"active":             {unit: "active", files: doctor.Enabled, wanted: applied().Wanted},
		"failed":             {unit: failed, files: doctor.Enabled, wanted: applied().Wanted, want: []string{what + " && systemctl start natspread.service"}},
		"nothing to load":    {unit: failed, files: doctor.Enabled, wanted: generation.Wanted{Generation: generation.None(), Boot: generation.None()}},
		"not enabled":        {unit: failed, files: doctor.Disabled, wanted: applied().Wanted, want: []string{what + " && systemctl start natspread.service"}},
		"removed since":      {unit: failed, files: doctor.Missing, wanted: applied().Wanted, want: []string{what}},
		"a generation waits": {unit: failed, files: doctor.Enabled, wanted: waits, want: []string{what}},
	} {
		t.Run(name, func(t *testing.T) { wantFindings(t, failedUnit(c.unit, c.files, c.wanted), c.want...) })
	}
}

// TestUnitOfHost asks status and doctor of a unit that boot does not start, and of one that
// failed: they say the same words, by one judge.
func TestUnitOfHost(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		s.config = web
		if report := s.read(t); report.Unit != doctor.Enabled || len(report.Notes) > 0 {
			t.Errorf("before the first apply: %q, %q", report.Unit, report.Notes)
		}
		s.apply(t)
		said := func(unit doctor.Unit, state State, note string) {
			t.Helper()
			report := s.read(t)
			if report.Unit != unit || report.State != state || strings.Join(report.Notes, "\n") != note {
				t.Errorf("%q, %s, %q", report.Unit, report.State, report.Notes)
			}
			var same bool
			for _, f := range s.examined(t, Judged{Config: parsed(t, web)}) {
				same = same || NotesOf([]doctor.Finding{f})[0] == note && f.Severity == doctor.Risk
			}
			if note != "" && !same {
				t.Errorf("doctor does not say %q", note)
			}
		}
		said(doctor.Enabled, InSync, "")

		s.host.Systemd = func(context.Context, string) (string, error) { return "failed", nil }
		said(failed, Impaired, "")
		const fix = "systemctl reset-failed natspread.service && systemctl start natspread.service"
		want := "broken: natspread.service has failed: systemd neither stops nor reloads it; journalctl -b -u natspread.service says why -> " + fix
		wantFindings(t, s.read(t).Findings, want)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), want)
		s.host.Systemd = nil

		s.config = checkedBalanced // boot: its unit waits for the network, which is no fault
		s.apply(t)
		s.host.Systemd = func(context.Context, string) (string, error) { return "activating", nil }
		wantFindings(t, s.read(t).Findings, "risk: health checks do not run yet: systemd starts natspread health when what it waits for is up, as the network")
		s.host.Systemd = nil
		wantFindings(t, s.read(t).Findings, "broken: health checks are configured, but natspread health does not run -> systemctl enable --now natspread-health")
		s.config = web
		s.apply(t)

		s.sh(t, "rm ROOT/etc/systemd/system/sysinit.target.wants/natspread.service")
		said(doctor.Disabled, InSync, "nothing loads the rules at boot: natspread.service is not enabled; fix: systemctl enable natspread.service")
		s.sh(t, "ln -sfn /dev/null ROOT/etc/systemd/system/natspread.service")
		said(doctor.Masked, InSync, "nothing loads the rules at boot: natspread.service is masked by /etc/systemd/system/natspread.service; fix: systemctl unmask natspread.service")
		if err := os.Remove(s.store().Path("etc/systemd/system/natspread.service")); err != nil {
			t.Fatal(err)
		}
		said(doctor.Missing, InSync, "nothing loads the rules at boot: there is no natspread.service; fix: natspread install")
		s.sh(t, "rm ROOT/usr/lib/systemd/systemd")
		said(doctor.NoSystemd, InSync, "cannot tell what loads the rules at boot: there is no systemd")
	})
}
