package report

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestManyOfAKind says once what is true of many services, and of one service what is its own. doctor names
// each.
func TestManyOfAKind(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		var text strings.Builder
		for i := range 5 {
			fmt.Fprintf(&text, "[[service]]\nname = \"s%d\"\nlisten = \"192.0.2.%d:80\"\ninterface = \"eth%[1]d\"\nbackends = [\"10.0.0.1:80\"]\n", i, 20+i)
		}
		s.config = text.String()
		const (
			absent = "5 listen addresses are on no interface, 192.0.2.20 of s0 first; fix: natspread doctor # asks"
			eth    = "5 interfaces of services do not exist, eth0 of s0 first"
			alone  = "192.0.2.23, listen of s3, is on no interface, and natspread did not ask the network who has it in 192.0.2.0/24 on front; fix: natspread doctor # asks"
			others = "other services have findings: natspread status shows them"
		)
		plan := s.plan(t)
		noted := func(who string, notes []string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, notes); diff != "" {
				t.Errorf("%s: %s", who, diff)
			}
		}
		noted("check", NotesOf(s.host.Advice(plan.Config)), eth+"; fix: natspread doctor # names each", absent)
		s.apply(t)
		noted("apply", s.host.NotesAfter(t.Context(), plan.Config, plan.Tables), eth+"; fix: natspread doctor # names each", absent)
		all := s.read(t)
		noted("status", all.Notes, absent)
		screen := all.Printed(t.Context()).Text(plain(), false)
		if want := "  broken: " + eth + "\n    fix: natspread status --all # names each\n  note: "; !strings.Contains(screen, want) || strings.Contains(screen, "there is no") {
			t.Errorf("status: %s", screen)
		}
		if screen := all.Printed(t.Context()).Text(plain(), true); strings.Count(screen, "there is no interface eth") != 5 {
			t.Errorf("status --all: %s", screen)
		}
		difference := s.diff(t)
		noted("diff", difference.Filled().Notes, absent)
		if screen := difference.Text(plain(), false); strings.Count(screen, eth) != 1 || strings.Contains(screen, "there is no") {
			t.Errorf("diff: %s", screen)
		}
		s.host.Service = "s3"
		one := s.read(t)
		noted("status s3", one.Notes, others, alone)
		if len(one.Findings) != 1 || !strings.HasPrefix(one.Findings[0].What, "service s3: there is no interface eth3") || one.State != Impaired {
			t.Errorf("status s3: %s, %v", one.State, one.Findings)
		}
		s.host.Service = ""
		if examined := s.examined(t, Judged{Config: plan.Config}); len(examined) < 10 {
			t.Errorf("doctor: %v", examined)
		}
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
