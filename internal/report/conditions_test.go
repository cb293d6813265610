package report

import (
	"net"
	"slices"
	"strings"
	"testing"

	"natspread/internal/doctor"
)

// TestConditions asks of a config that the host does not bear out before it is applied, and
// after that: what may come true later is a note of each verb, and a Risk of doctor; what keeps a service from
// getting anything is Broken.
func TestConditions(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		listener, err := net.Listen("tcp4", "192.0.2.10:81")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		s.config = strings.Replace(balanced, "192.0.2.10:80", "192.0.2.20:80", 1) + "interface = \"eth9\"\n" // of the last, six
		const (
			absent   = "192.0.2.20, listen of web, is on no interface, and natspread did not ask the network who has it in 192.0.2.0/24 on front; fix: natspread doctor # asks"
			silent   = "192.0.2.20, listen of web, is on no interface, and nobody answers for it in 192.0.2.0/24 on front, unless the network needs no answer; fix: ip address add 192.0.2.20/24 dev front # until the next boot; "
			missing  = "service six: there is no interface eth9, so nothing comes in by it; fix: natspread edit # in service six: interface = \"front\""
			shadowed = " and is shadowed: what comes for 192.0.2.10:81 goes to service plain"
		)
		said := func(who string, notes []string, want ...string) {
			t.Helper()
			for _, words := range want {
				if !slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, words) }) {
					t.Errorf("%s does not say %q: %q", who, words, notes)
				}
			}
			if len(notes) != len(want) {
				t.Errorf("%s says %q", who, notes)
			}
		}
		plan := s.plan(t)
		said("check", NotesOf(s.host.Advice(plan.Config)), absent, missing, shadowed)
		said("diff", s.diff(t).Filled().Notes, absent, missing, shadowed)
		s.apply(t)
		said("apply", s.host.NotesAfter(t.Context(), plan.Config, plan.Tables), absent, missing, shadowed)
		report := s.read(t)
		said("status", report.Notes, absent)
		said("status", NotesOf(report.Findings), missing)
		if report.State != Impaired {
			t.Errorf("%s: %v", report.State, report.Findings)
		}
		examined := s.examined(t, Judged{Config: plan.Config})
		said("doctor", NotesOf(risks(examined)), silent, shadowed)
		said("doctor", NotesOf(Broken(examined)), missing)
	})
}

// TestNotesOf says how many notes it leaves out.
func TestNotesOf(t *testing.T) {
	t.Parallel()
	found := slices.Repeat([]doctor.Finding{{What: "it is so", Fix: "do it"}}, mostNotes)
	if notes := NotesOf(found); len(notes) != mostNotes || notes[mostNotes-1] != "it is so; fix: do it" {
		t.Errorf("%q", notes)
	}
	if notes := NotesOf(append(found, found[:2]...)); len(notes) != mostNotes+1 || notes[mostNotes] != "and 2 more: natspread doctor" {
		t.Errorf("%q", notes)
	}
}

// TestScrape leaves routes and sockets out of a scrape, and nothing else.
func TestScrape(t *testing.T) {
	onHost(t, fault{make: edit(`snat = "10.0.0.253"`), lines: "ip address del 10.0.0.253/24 dev back; ip route del 10.0.0.0/24 dev back"}, func(t *testing.T, s *scene) {
		whole := whats(s.read(t).Findings)
		s.host.Scrape = true
		scraped := whats(s.read(t).Findings)
		left := slices.DeleteFunc(whole, func(what string) bool { return strings.HasPrefix(what, "no route leads to ") })
		if len(scraped) != 1 || !slices.Equal(scraped, left) {
			t.Errorf("%q, and scraped %q", whole, scraped)
		}
	})
}
