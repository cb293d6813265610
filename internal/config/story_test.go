package config

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/slots"
)

// update rewrites what the stories want with what they get.
var update = flag.Bool("update", false, "rewrite the wanted part of testdata/config")

// storyDir holds one txtar per story: a comment with its reason, the file
// natspread.toml and the file want.
const storyDir = "../../testdata/config"

// story is one file of storyDir.
type story struct {
	path    string
	archive *txtar.Archive
}

// file returns the part of a story with that name.
func (s story) file(t testing.TB, name string) *txtar.File {
	t.Helper()
	for i := range s.archive.Files {
		if s.archive.Files[i].Name == name {
			return &s.archive.Files[i]
		}
	}
	t.Fatalf("%s has no file %s", s.path, name)
	return nil
}

// stories reads all of storyDir.
func stories(t testing.TB) []story {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(storyDir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("cannot find stories in %s: %v", storyDir, err)
	}
	var all []story
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, story{path, a})
	}
	return all
}

// TestStories parses each story and compares the errors, or the Config, with
// what it wants.
func TestStories(t *testing.T) {
	for _, s := range stories(t) {
		t.Run(strings.TrimSuffix(filepath.Base(s.path), ".txtar"), func(t *testing.T) {
			if len(strings.TrimSpace(string(s.archive.Comment))) == 0 {
				t.Error("the story does not say why it exists")
			}
			in, want := s.file(t, "natspread.toml"), s.file(t, "want")
			c, err := Parse(in.Name, in.Data)
			got := dump(c)
			if err != nil {
				got = err.Error() + "\n"
			} else {
				mustHold(t, c)
			}
			if good := strings.HasPrefix(filepath.Base(s.path), "good-"); good != (err == nil) {
				t.Errorf("the story's name says good is %v, but the error is %v", good, err)
			}
			if *update {
				want.Data = []byte(got)
				if err := os.WriteFile(s.path, txtar.Format(s.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(want.Data), got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// dump writes all of a Config, one value a line.
func dump(c Config) string {
	var b strings.Builder
	for _, s := range c.Services {
		fmt.Fprintf(&b, "service %s, ipv6 %v\n", s.Name, s.Is6())
		for _, l := range s.Listen {
			fmt.Fprintf(&b, "  listen %s, any %v\n", l, l.Any())
			if l.To != 0 {
				fmt.Fprintf(&b, "    to port %d\n", l.To)
			}
		}
		fmt.Fprintf(&b, "  protocols %v\n  snat %s\n", s.Protocols, s.SNAT)
		if s.SNATPorts != KeepPorts {
			fmt.Fprintf(&b, "  snat_ports %s\n", s.SNATPorts)
		}
		for _, be := range s.Backends {
			fmt.Fprintf(&b, "  backend %s weight %d", be, be.Weight)
			if be.Drain {
				b.WriteString(" drain")
			}
			if be.Backup {
				b.WriteString(" backup")
			}
			b.WriteByte('\n')
		}
		if s.Slots != 0 {
			fmt.Fprintf(&b, "  slots %d\n  source_prefix %d\n", s.Slots, s.SourcePrefix)
		}
		fmt.Fprintf(&b, "  algorithm %s\n  interface %q\n  hairpin %v\n  local %v\n  on_remove %s\n  forward %s\n",
			s.Algorithm, strings.Join(s.Interfaces, " "), s.Hairpin, s.Local, s.OnRemove, s.Forward)
		if s.Gated() {
			fmt.Fprintf(&b, "  allow %v\n  deny %v\n  refused %s\n", s.Allow, s.Deny, s.Refused)
		}
		if s.Takeover {
			b.WriteString("  takeover true\n")
		}
		if s.ClampMSS.On {
			fmt.Fprintf(&b, "  clamp_mss %s\n", s.ClampMSS)
		}
		if s.Checked() {
			fmt.Fprintf(&b, "  check %+v\n  min_up %d\n  on_down %s\n", fields(s.Check), s.MinUp, s.OnDown)
		}
	}
	return b.String()
}

// fields is a Check that shows all that it holds, also what is the default.
type fields Check

// mustHold fails unless c keeps every promise that a checked Config makes.
func mustHold(t *testing.T, c Config) {
	t.Helper()
	if len(c.Services) == 0 {
		t.Error("a parsed config has no service")
	}
	seen := make(map[string]bool)
	for _, s := range c.Services {
		if seen[s.Name] || !regexp.MustCompile(`\A[a-z][a-z0-9_-]{0,31}(\.6)?\z`).MatchString(s.Name) {
			t.Errorf("name %q is taken or malformed", s.Name)
		}
		seen[s.Name] = true
		if len(s.Listen) == 0 || len(s.Protocols) == 0 || len(s.Backends) == 0 || len(s.Backends) > MaxBackends {
			t.Fatalf("service %s lacks something: %+v", s.Name, s)
		}
		for _, link := range s.Interfaces {
			if len(link) > 15 || link == "+" || strings.ContainsAny(link, "/ \n\x00\"") || strings.HasPrefix(link, "-") || strings.Contains(link[:len(link)-1], "+") {
				t.Errorf("service %s: interface %q", s.Name, link)
			}
		}
		mustHoldAddresses(t, s)
		mustHoldOnce(t, s)
		mustHoldCheck(t, s)
	}
	mustHoldNoOverlap(t, c)
	mustHoldTakeover(t, c)
}

// mustHoldTakeover checks that services with takeover can have it, and compares every two of
// their answers.
func mustHoldTakeover(t *testing.T, c Config) {
	t.Helper()
	type answer struct {
		p Protocol
		l Listen
	}
	var all []answer
	for _, s := range c.Services {
		if !s.Takeover {
			continue
		}
		if s.SNAT.Mode != None || s.Slots == 0 && len(s.Backends) > 1 || slices.Contains(s.Protocols, SCTP) || slices.ContainsFunc(s.Listen, Listen.Any) {
			t.Errorf("service %s has takeover: %+v", s.Name, s)
		}
		for _, l := range s.Listen {
			for _, b := range s.Backends {
				for _, p := range s.Protocols {
					all = append(all, answer{p, answerKey(l, b)})
				}
			}
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.p == b.p && a.l.Addr == b.l.Addr && a.l.Ports.First <= b.l.Ports.Last && b.l.Ports.First <= a.l.Ports.Last {
				t.Errorf("two listen addresses are answered from %s %s", a.p, a.l)
			}
		}
	}
}

// mustHoldAddresses checks the addresses, ports and weights of one service.
func mustHoldAddresses(t *testing.T, s Service) {
	t.Helper()
	unicast := func(what string, a netip.Addr) {
		if !a.IsValid() || a.Is6() != s.Is6() || a.Is4In6() || a.Zone() != "" ||
			a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			t.Errorf("service %s: %s %s", s.Name, what, a)
		}
	}
	for _, l := range s.Listen {
		if !l.Any() {
			unicast("listen", l.Addr)
		}
		if l.Ports.First == 0 || l.Ports.First > l.Ports.Last {
			t.Errorf("service %s: ports %v", s.Name, l.Ports)
		}
	}
	for _, b := range s.Backends {
		unicast("backend", b.Addr)
		if b.Weight < 0 || b.Weight > MaxWeight {
			t.Errorf("service %s: weight %d", s.Name, b.Weight)
		}
	}
	mustHoldSlots(t, s)
	if s.SNAT.Mode == Address {
		for _, a := range s.SNAT.Addresses() {
			unicast("snat", a)
		}
		if n := len(s.SNAT.Spread()); n == 0 || n > 16 {
			t.Errorf("service %s: %d groups of sources", s.Name, n)
		}
	} else if s.SNAT.Addr.IsValid() || s.SNAT.Pool != nil {
		t.Errorf("service %s: snat %v has an address", s.Name, s.SNAT)
	}
	if len(s.Hairpin) > 0 && s.SNAT.Mode != None {
		t.Errorf("service %s: hairpin with snat %s", s.Name, s.SNAT)
	}
	for _, p := range s.Hairpin {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is6() != s.Is6() || p.Bits() == 0 {
			t.Errorf("service %s: hairpin %s", s.Name, p)
		}
	}
}

// mustHoldSlots checks that a service whose clients have slots has some for each backend
// with a weight, and that no other has any.
func mustHoldSlots(t *testing.T, s Service) {
	t.Helper()
	if hashes := s.Algorithm == Source || s.Algorithm == Flow; hashes != (s.Slots != 0) || hashes != (s.SourcePrefix != 0) {
		t.Errorf("service %s: %s with %d slots, prefix %d", s.Name, s.Algorithm, s.Slots, s.SourcePrefix)
	}
	if s.Slots == 0 {
		return
	}
	most := s.Backends[0].Addr.BitLen()
	if s.SourcePrefix < most/8 || s.SourcePrefix < 8 || s.SourcePrefix > most || s.Algorithm == Flow && s.SourcePrefix != most {
		t.Errorf("service %s: source_prefix %d", s.Name, s.SourcePrefix)
	}
	all := s.SlotBackends()
	for i := range all {
		all[i].Out, all[i].Backup = false, false // then every one owns some
	}
	for _, pool := range [][]slots.Backend{all, slots.Primaries(s.SlotBackends())} {
		owned := map[int]int{}
		for i := range pool {
			pool[i].Out = false
		}
		for _, owner := range slots.Owners(pool, s.Slots) {
			owned[owner]++
		}
		for i, b := range pool {
			if (b.Weight > 0) != (owned[i] > 0) && len(owned) > 0 {
				t.Errorf("service %s: backend %v has %d slots", s.Name, b, owned[i])
			}
		}
	}
}

// mustHoldCheck checks that a service whose backends are checked has all that this takes, and
// that no other has any of it.
func mustHoldCheck(t *testing.T, s Service) {
	t.Helper()
	primaries, c := 0, s.Check
	for _, b := range s.Backends {
		if !b.Backup {
			primaries++
		}
		if target, _ := c.Of(b); s.Checked() && target.Port() == 0 || b.Joined || b.Backup && !s.Checked() {
			t.Errorf("service %s: backend %+v with check %v", s.Name, b, c)
		}
	}
	if !s.Checked() {
		if c != (Check{}) || s.MinUp != 0 || s.OnDown != "" {
			t.Errorf("service %s: min_up %d, on_down %s, %+v", s.Name, s.MinUp, s.OnDown, c)
		}
		return
	}
	if s.MinUp < 1 || s.MinUp > primaries || s.OnDown != Keep && s.OnDown != ResetDown {
		t.Errorf("service %s: min_up %d of %d, on_down %s", s.Name, s.MinUp, primaries, s.OnDown)
	}
	if c.Interval < minInterval || c.Interval > maxInterval || c.Timeout < minTimeout || c.Timeout > c.Interval ||
		min(c.Fall, c.Rise) < 1 || max(c.Fall, c.Rise) > maxStreak || c.Source.IsValid() && c.Source.Is6() != s.Is6() {
		t.Errorf("service %s: %+v", s.Name, c)
	}
	http := c.Type == CheckHTTP || c.Type == CheckHTTPS
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	if http != strings.HasPrefix(c.Path, "/") || http != (c.Expect != "") || http && c.Send+c.Receive != "" ||
		strings.ContainsFunc(c.Path+c.Host+c.TLSName, strange) || !http && c.Host != "" || c.Type != CheckHTTPS && (c.TLSName != "" || c.Insecure) ||
		c.Type == CheckUDP && c.Send == "" {
		t.Errorf("service %s: %+v", s.Name, c)
	}
}

// mustHoldOnce checks that no backend is listed twice.
func mustHoldOnce(t *testing.T, s Service) {
	t.Helper()
	twice := make(map[Backend]bool)
	for _, b := range s.Backends {
		b.Weight = 0
		if twice[b] {
			t.Errorf("service %s: backend %s twice", s.Name, b)
		}
		twice[b] = true
	}
}

// haveInCommon tells whether two lists have a backend that answers at one place for a listen address.
func haveInCommon(l, m Listen, some, others []Backend) bool {
	return slices.ContainsFunc(some, func(a Backend) bool {
		return slices.ContainsFunc(others, func(b Backend) bool {
			return a.Addr == b.Addr && l.Answers(a).First <= m.Answers(b).Last && m.Answers(b).First <= l.Answers(a).Last
		})
	})
}

// mustHoldNoOverlap compares every two claims, the slow and certain way.
func mustHoldNoOverlap(t *testing.T, c Config) {
	t.Helper()
	type flat struct {
		s Service
		p Protocol
		l Listen
	}
	var all []flat
	for _, s := range c.Services {
		for _, l := range s.Listen {
			for _, p := range s.Protocols {
				all = append(all, flat{s, p, l})
			}
		}
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.p == b.p && a.l.String() == b.l.String() && a.s.Apart(b.s.Audience) && !(a.s.Local && b.s.Local) && !haveInCommon(a.l, b.l, a.s.Backends, b.s.Backends) {
				continue
			}
			meet := a.s.Is6() == b.s.Is6() && a.p == b.p && (a.l.Any() || b.l.Any() || a.l.Addr == b.l.Addr)
			if meet && a.l.Ports.First <= b.l.Ports.Last && b.l.Ports.First <= a.l.Ports.Last {
				t.Errorf("%s %s and %s overlap", a.p, a.l, b.l)
			}
		}
	}
}
