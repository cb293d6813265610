package report

import (
	"io/fs"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/health"
)

// TestNothingToApply has a config made first where there is none, and applied where there is one.
func TestNothingToApply(t *testing.T) {
	onHost(t, fault{never: true}, func(t *testing.T, s *scene) {
		const never = "risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread "
		read := s.host.Config
		s.host.Config = func() (configfiles.Set, error) { return nil, fs.ErrNotExist }
		wantFindings(t, s.read(t).Findings, never+"init")
		s.host.Config = read // which init has written
		wantFindings(t, s.read(t).Findings, never+"apply")
		s.apply(t)
		wantFindings(t, s.read(t).Findings)
	})
}

// TestWhenLastChecked says that nobody knows how backends are now where no checks run.
func TestWhenLastChecked(t *testing.T) {
	service := Service{Health: health.Normal, Backends: []Backend{{Health: &Health{State: health.Up}}, {Health: &Health{State: health.New}}}}
	for unwatched, want := range map[bool]string{false: "1 of 2 up, 1 not checked yet", true: "1 of 2 up when last checked, 1 not checked yet"} {
		service.unwatched = unwatched
		if got := strings.Join(service.modeWords(), ""); got != want {
			t.Errorf("%s", got)
		}
	}
	service.Backends = service.Backends[1:]
	if got := strings.Join(service.modeWords(), ""); got != "0 of 1 up, 1 not checked yet" {
		t.Errorf("%s", got)
	}
}
