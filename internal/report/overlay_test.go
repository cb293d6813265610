package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/health"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/promtest"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/generation"
)

// checkedBalanced is balanced with a check of web, and of six.
var checkedBalanced = strings.NewReplacer("name = \"web\"\n", "name = \"web\"\ncheck = \"tcp\"\n", "name = \"six\"\n", "name = \"six\"\ncheck = \"tcp\"\n", `"[fd00::1]:80"`, `"[fd00::1]:80", "[fd00::2]:80"`).Replace(balanced)

// takeOut loads the overlay by which some backends are out, as natspread health does; without
// any, the generation's own tables.
func (s *scene) takeOut(t *testing.T, reason string, out ...string) {
	t.Helper()
	cfg := s.plan(t).Config
	var note health.Note
	var freed restore.Freed
	for i, service := range cfg.Services {
		said := health.ServiceNote{Name: service.Name, Mode: health.Normal}
		choice := health.Choice{Mode: health.Normal}
		for _, backend := range service.Backends {
			if slices.Contains(out, backend.String()) {
				choice.Out = append(choice.Out, backend)
				said.Out = append(said.Out, health.OutNote{Backend: backend.String(), Since: generation.SinceBoot(), Reason: reason})
			}
		}
		if !choice.Changes() {
			continue
		}
		cfg.Services[i] = choice.Apply(service)
		note.Services = append(note.Services, said)
		freed.Before = append(freed.Before, render.VirtualServices(service)...)
		freed.After = append(freed.After, render.VirtualServices(cfg.Services[i])...)
	}
	data, err := note.Encode()
	if err != nil {
		t.Fatal(err)
	}
	wanted := s.host.Restore.Store().Wanted()
	overlay := restore.Overlay{Base: wanted.Generation.Number, Tables: render.New(cfg), Note: data, None: len(out) == 0}
	if wanted.Overlay != nil {
		overlay.Before = wanted.Overlay.Sum
	}
	if _, err := s.host.Restore.LoadOverlay(t.Context(), overlay, freed); err != nil {
		t.Fatal(err)
	}
}

// TestOverlay takes a backend out of what is loaded: that is no drift and no difference, status
// says who is out, and the wanted shares are those of the rules. What else somebody changes is
// found as ever.
func TestOverlay(t *testing.T) {
	onHost(t, fault{never: true}, func(t *testing.T, s *scene) {
		s.config = checkedBalanced
		s.watch(t)
		s.apply(t)
		before := time.Now().Add(-time.Second) // status prints whole seconds
		s.takeOut(t, "connection refused", "10.0.0.2:80", "[fd00::1]:80")
		is := s.see(t)
		is.agree(t, false)
		const note = "health: 2 of 4 backends are out"
		printed := is.report.Printed(t.Context())
		if outs := printed.Out; len(outs) != 2 || outs[0].Service+" "+outs[0].Backend+" "+outs[0].Reason != "web 10.0.0.2:80 connection refused" || outs[0].Since.Before(before) || outs[0].Since.After(time.Now()) {
			t.Errorf("out: %+v", outs)
		}
		if text := printed.Text(plain(), false); printed.Rules == "" || !strings.Contains(text, "\n  rules: sha256 "+printed.Rules+", out: 10.0.0.2:80 of web, ") {
			t.Errorf("%s", text)
		}
		if six := printed.Services[2].Backends; six[0].WantedShare != 0 || six[1].WantedShare != 1 {
			t.Errorf("%+v", six)
		}
		one, two := printed.Services[0].Backends[0], printed.Services[0].Backends[1]
		if is.report.State != InSync || len(is.report.Findings) > 0 || one.WantedShare != 1 || two.WantedShare != 0 || two.Drained || two.Health.State != health.Down || two.Health.Reason != "connection refused" {
			t.Errorf("%s, %v, %+v, %+v", is.report.State, is.report.Findings, one, two)
		}
		if said := strings.Join(is.diff.Summary("apply would bring"), "\n"); said != "no difference\nnote: "+note || is.diff.Differ {
			t.Errorf("%s", said)
		}
		if notes := is.diff.Filled().Notes; len(notes) != 1 || notes[0] != note {
			t.Errorf("%q", notes)
		}
		if strings.Join(is.report.Notes, "\n") != note {
			t.Errorf("%q", is.report.Notes)
		}
		if again := s.apply(t); again.Changed {
			t.Errorf("apply of the same: %+v", again)
		}

		s.sh(t, "IPTABLES -t nat -I NATSPREAD-plain 1 -j RETURN")
		is = s.see(t)
		is.agree(t, false)
		if is.report.State != Drift || is.diff.Added != 0 || is.diff.Removed != 1 || !strings.Contains(is.diff.Diff, "--A NATSPREAD-plain -j RETURN\n") {
			t.Errorf("%s\n%s", is.report.State, is.diff.Diff)
		}
		s.sh(t, "IPTABLES -t nat -D NATSPREAD-plain 1; IPTABLES -t nat -I NATSPREAD-web 1 -j RETURN")
		is = s.see(t)
		is.agree(t, false)
		if is.report.State != Drift || !strings.Contains(is.diff.Diff, "--A NATSPREAD-web -j RETURN\n") {
			t.Errorf("%s\n%s", is.report.State, is.diff.Diff)
		}
		s.sh(t, "IPTABLES -t nat -D NATSPREAD-web 1")

		s.config = strings.Replace(checkedBalanced, "10.0.0.1:81", "10.0.0.2:81", 1)
		diff := s.diff(t)
		if len(diff.Services) != 1 || diff.Services[0].Name != "plain" || diff.Added != 1 || diff.Removed != 1 {
			t.Errorf("%+v\n%s", diff.Services, diff.Diff)
		}
		s.config = checkedBalanced

		s.stopWatching()
		wantFindings(t, s.read(t).Findings, "broken: health checks do not run since -> systemctl enable --now natspread-health")
		if what := s.read(t).Findings[0].What; !strings.HasSuffix(what, ": 10.0.0.2:80, [fd00::1]:80 stay out, unless natspread restore lets them in") {
			t.Error(what)
		}
		if result, err := s.host.Restore.Restore(t.Context()); err != nil || !result.Changed {
			t.Errorf("restore: %+v, %v", result, err)
		}
		if read := s.read(t); len(read.Notes) > 0 || strings.Contains(read.Findings[0].What, "stay out") {
			t.Errorf("restore let all in: %q, %v", read.Notes, read.Findings)
		}
		s.watch(t)
		s.takeOut(t, health.ByHand, "10.0.0.2:80")
		if read := s.read(t); read.State != InSync || strings.Join(read.Notes, "\n") != "drained until the next load or boot: 10.0.0.2:80 of web" || !read.Printed(t.Context()).Services[0].Backends[1].Drained {
			t.Errorf("%s, %q", read.State, read.Notes)
		}
	})
}

// TestOverlayOfAll has a hand drain every backend: the clients are refused, and a line lets one
// in again.
func TestOverlayOfAll(t *testing.T) {
	onHost(t, fault{never: true}, func(t *testing.T, s *scene) {
		s.config = checkedBalanced
		s.watch(t)
		s.apply(t)
		s.takeOut(t, health.ByHand, "10.0.0.1:80", "10.0.0.2:80")
		const note = "every backend of service web is drained: clients are refused; fix: natspread undrain --runtime web 10.0.0.1:80"
		if notes := s.read(t).Notes; !strings.Contains(strings.Join(notes, "\n"), note) {
			t.Errorf("%q", notes)
		}
		s.takeOut(t, "")
		if read := s.read(t); len(read.Notes) > 0 || read.State != InSync {
			t.Errorf("%s, %q", read.State, read.Notes)
		}
	})
}

// TestCountersNeverFall counts connections while backends go out and come back, and while the
// same config, and another one, is applied: no metric that is a counter becomes less.
func TestCountersNeverFall(t *testing.T) {
	onHost(t, fault{never: true}, func(t *testing.T, s *scene) {
		s.config = checkedBalanced
		s.watch(t)
		s.apply(t)
		s.network.Serve(t, "tcp", 4, 80)
		s.network.Serve(t, "tcp", 6, 80)
		asked := 0
		counted := promtest.Scraped{}
		look := func(what string) {
			t.Helper()
			netnstest.AskMany(t, s.network.Client, "tcp", "192.0.2.10:80", 6, 1)
			netnstest.AskMany(t, s.network.Client, "tcp", "[2001:db8::10]:80", 6, 1)
			asked += 12
			text, err := s.host.Metrics(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			got, err := promtest.Scrape(text)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for series, value := range got.Values {
				name, _, _ := strings.Cut(series, ",")
				if got.Types[name] == "counter" && value < counted.Values[series] {
					t.Errorf("%s: %s fell from %v to %v", what, series, counted.Values[series], value)
				}
				if name == "natspread_backend_connections_total" {
					sum += value
				}
			}
			if int(sum) != asked {
				t.Errorf("%s: %v of %d connections are counted", what, sum, asked)
			}
			counted = got
		}
		look("as it is")
		s.takeOut(t, "connection refused", "10.0.0.2:80", "[fd00::1]:80")
		look("one is out")
		s.takeOut(t, "connection refused", "10.0.0.1:80", "[fd00::2]:80")
		look("the other one is out")
		s.takeOut(t, "")
		look("both are back")
		s.apply(t)
		look("applied again")
		s.config = strings.Replace(checkedBalanced, "10.0.0.1:81", "10.0.0.2:81", 1)
		s.apply(t)
		look("another service is another one")
	})
}
