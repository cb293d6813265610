package report

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// examined returns what doctor finds by a config.
func (s *scene) examined(t *testing.T, judged Judged) []doctor.Finding {
	t.Helper()
	found, err := s.host.Examine(t.Context(), judged)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eachVariant runs a test for each variant, in a scene of its own.
func eachVariant(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Helper()
	onHost(t, fault{never: true}, test)
}

// TestExamineAhead finds by a config, before it is applied, what will keep it from working:
// not that forwarding is off, as apply switches it on, and nothing twice.
func TestExamineAhead(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		const never = "risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread apply"
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), never)
		s.sh(t, "IPTABLES -P FORWARD DROP")
		dropped := "broken: ipv4: connections of web to 10.0.0.1:80 are dropped by the " + string(s.variant) + " variant: the policy of FORWARD -> " +
			rules.Program(rules.IPv4, s.variant, "") + ` -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = "accept" in service web, then: natspread apply`
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), dropped, never)
		s.config = web
		s.apply(t)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), dropped)
		// A service that is edited is judged as it will be, and one that is as it was once.
		edited := strings.Replace(web, `"10.0.0.1:80"`, `"10.0.0.1:80", "10.0.0.2:80"`, 1)
		more := strings.Replace(dropped, "10.0.0.1:80", "10.0.0.1:80, 10.0.0.2:80", 1)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, edited)}), dropped, more)
		accepted := strings.Replace(web, "backends", "forward = \"accept\"\nbackends", 1)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, accepted)}), dropped)
		added := web + "[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nprotocol = \"udp\"\nbackends = [\"10.0.0.2:53\"]\n"
		ofDNS := strings.NewReplacer("of web to 10.0.0.1:80", "of dns to 10.0.0.2:53", "in service web", "in service dns").Replace(dropped)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, added)}), dropped, ofDNS)
		s.config = accepted
		s.apply(t)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, accepted)}))
		// What is said of the service as it is, is not said again of the edited one.
		s.sh(t, "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding")
		off := "broken: ipv4: net.ipv4.conf.front.forwarding is 0, so what comes in by front is not forwarded -> sysctl -w net.ipv4.conf.front.forwarding=1"
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, strings.Replace(accepted, "web", "site", 1))}), off)
	})
}

// TestExamineBadConfig says that the config is bad, whose config is used, and that a
// generation waits.
func TestExamineBadConfig(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		s.config = web
		s.apply(t)
		bad := Judged{Config: parsed(t, web), Bad: errors.New("no such key")}
		const refuses = "risk: apply refuses the config, so the other checks use the config of generation 1: no such key -> natspread check # says what to write instead"
		wantFindings(t, s.examined(t, bad), refuses)
		s.try(t, "# Again.\n"+web, time.Hour)
		wantFindings(t, s.examined(t, bad), "risk: generation 2 waits to be confirmed: else it is reverted -> natspread confirm", refuses)
	})
}

// TestExamineUnreadConfig names what a generation's config is, when this natspread cannot
// read it: the rules are as good as ever.
func TestExamineUnreadConfig(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		s.config = web
		request := s.plan(t).Request("apply")
		request.Config = configfiles.Alone("natspread.toml", []byte("written by another natspread\n"))
		if _, err := s.host.Restore.Apply(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		report := s.read(t)
		wantFindings(t, report.Findings, "risk: cannot name the services: generation 1's config:1:")
		if printed := report.Printed(t.Context()); report.State != InSync || len(printed.Services) != 0 || printed.Services == nil {
			t.Errorf("%+v", printed)
		}
		if diff := s.diff(t); !strings.Contains(strings.Join(diff.Summary("apply"), "\n"), "no difference, but apply would make a new generation of it: the text of the config differs") {
			t.Errorf("%q", diff.Summary("apply"))
		}
	})
}

// TestDiffOneFamily judges nothing of the other family.
func TestDiffOneFamily(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		s.apply(t)
		of := func(family rules.Family) Diff { return s.diff(t, family) }
		for _, lines := range []string{
			"echo 0 > /proc/sys/net/ipv4/ip_forward", "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding", "IPTABLES -t nat -I PREROUTING -j RETURN", "IPTABLES -t nat -F NATSPREAD-web",
			"IPTABLES -P FORWARD DROP; IPTABLES -F FORWARD", "IPTABLES-save -t nat | OTHER-restore",
		} {
			s.sh(t, lines)
			if four, six := of(rules.IPv4), of(rules.IPv6); !four.Differ || six.Differ || len(six.Findings) != 0 {
				t.Errorf("after %s: %v, %v, %v", lines, four.Differ, six.Differ, six.Findings)
			}
			s.sh(t, "IPTABLES -P FORWARD ACCEPT; IPTABLES -t nat -D PREROUTING -j RETURN || true; echo 1 > /proc/sys/net/ipv4/conf/front/forwarding")
			s.apply(t)
			if four := of(rules.IPv4); four.Differ {
				t.Fatalf("after %s and apply: %s", lines, four.Text(plain(), true))
			}
		}
	})
}

// TestDiffUnwantedFamily finds no difference in a family that nothing is wanted of, also
// where nothing is loaded.
func TestDiffUnwantedFamily(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		s.config = web
		s.apply(t)
		stop(t, s)
		of := func(family rules.Family) Diff { return s.diff(t, family) }
		if four, six := of(rules.IPv4), of(rules.IPv6); !four.Differ || six.Differ || len(six.Findings) > 0 {
			t.Errorf("%v; %v, %v", four.Differ, six.Differ, six.Findings)
		}
		s.sh(t, "IP6TABLES -t nat -N NATSPREAD-PRE")
		if six := of(rules.IPv6); !six.Differ {
			t.Error("what is left over is no difference")
		}
		s.config = balanced
		s.sh(t, "IP6TABLES -t nat -X NATSPREAD-PRE")
		if six := of(rules.IPv6); !six.Differ || len(six.Services) != 1 {
			t.Errorf("what the config adds is no difference: %v", six.Services)
		}
	})
}

// TestOthersRules tells natspread's rules in the other variant from those of others.
func TestOthersRules(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		ours  bool
	}{
		"chains of others":       {"OTHER -t nat -N DOCKER", false},
		"a rule of others":       {"OTHER -t nat -A PREROUTING -p tcp -j RETURN", false},
		"an own chain":           {"OTHER -t nat -N NATSPREAD-web", true},
		"an own rule":            {"OTHER -t nat -N NATSPREAD-web; OTHER -t nat -A NATSPREAD-web -j RETURN", true},
		"a jump":                 {"OTHER -t nat -N NATSPREAD-PRE; OTHER -t nat -A PREROUTING -j NATSPREAD-PRE", true},
		"both":                   {"OTHER -t nat -N NATSPREAD-PRE; OTHER -t nat -A PREROUTING -j NATSPREAD-PRE; OTHER -t nat -A PREROUTING -p tcp -j RETURN", true},
		"a comment of its words": {"OTHER -t nat -N DOCKER; OTHER -t nat -A PREROUTING -m comment --comment '-j NATSPREAD-PRE' -j DOCKER", false},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, fault{lines: c.lines}, func(t *testing.T, s *scene) {
				want := []string{"broken: ipv4: the " + string(s.variant.Other()) + " variant holds rules of natspread, too: packets meet both -> natspread apply"}
				state := Drift
				if !c.ours {
					want, state = nil, InSync
				}
				report := s.read(t)
				if wantFindings(t, report.Findings, want...); report.State != state {
					t.Error(report.State)
				}
			})
		})
	}
}

// TestRouter tells who is let through for each family with rules: by the policy of the
// variant in use, and for an image without asking anybody.
func TestRouter(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		docker := s.store().Path("usr/bin/dockerd")
		if err := errors.Join(os.MkdirAll(s.store().Path("usr/bin"), 0o755), os.WriteFile(docker, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
		router := func(text string, image bool, want ...string) {
			t.Helper()
			s.config = text
			found, err := s.host.Router(t.Context(), s.plan(t).Tables, image)
			if err != nil || len(found) != len(want) {
				t.Fatalf("%v, %v", found, err)
			}
			for i := range want {
				if !strings.HasPrefix(found[i].What, want[i]) {
					t.Errorf("%s\nis not: %s", found[i].What, want[i])
				}
			}
		}
		const four, six = "ipv4: the policy of FORWARD is ", "ipv6: the policy of FORWARD is "
		router(web, false, four+"ACCEPT, and Docker")
		s.sh(t, "OTHER -P FORWARD DROP")
		router(web, false, four+"ACCEPT, and Docker")
		s.sh(t, "IPTABLES -P FORWARD DROP")
		router(balanced, false, four+"DROP now", six+"ACCEPT, and Docker")
		s.sh(t, "IP6TABLES -P FORWARD DROP")
		router(balanced, false, four+"DROP now", six+"DROP now")
		router(balanced, true, four+"ACCEPT when this image boots", six+"ACCEPT when this image boots")
	})
}

// TestPrintedPending shows what waits to be confirmed, and for how long.
func TestPrintedPending(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	s := newScene(t, rules.Variant(netnstest.Variants(t)[0]))
	s.apply(t)
	s.try(t, smaller, time.Hour)
	printed := s.read(t).Printed(t.Context())
	if printed.Pending == nil || printed.Pending.Generation != 2 || printed.Pending.SecondsLeft < 3500 || printed.Current != 1 || printed.Generation != 1 || printed.State != InSync {
		t.Errorf("%+v", printed)
	}
	if len(printed.Notes) != 1 || !strings.HasPrefix(printed.Notes[0], "generation 2 waits to be confirmed, for ") {
		t.Errorf("%q", printed.Notes)
	}
	if names := len(printed.Services); names != 3 || len(printed.Services[0].Backends) != 1 {
		t.Errorf("%+v", printed.Services)
	}
}
