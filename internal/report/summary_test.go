package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"natspread/internal/doctor"
	"natspread/internal/health"
	"natspread/internal/screen"
)

// manyServices returns the status of so many services of three backends, the first bad of which
// have a backend that is down.
func manyServices(services, bad int) Status {
	status := Status{State: InSync, Variant: "nft", Generation: 1}
	for i := range services {
		live := 1
		s := Service{Name: fmt.Sprintf("s%d", i), Listen: []string{"192.0.2.1:80"}, Connections: 2, Live: &live, Health: health.Normal, head: "tcp 192.0.2.1:80"}
		for b := range 3 {
			backend := Backend{Address: fmt.Sprintf("10.0.0.%d:80", b), Weight: 1, WantedShare: 0.5, Health: &Health{State: health.Up}}
			if i < bad && b == 1 {
				backend.Health, backend.WantedShare = &Health{State: health.Down, Reason: "refused"}, 0
			}
			s.Backends = append(s.Backends, backend)
		}
		status.Services = append(status.Services, s)
	}
	return status
}

// TestManyServices shows of 10,000 services a summary and those in trouble, all of them on
// request, and all of them to programs in any case.
func TestManyServices(t *testing.T) {
	few, many := manyServices(50, 1), manyServices(10000, 2)
	if text := few.Text(plain(), false); text != few.Text(plain(), true) || strings.Count(text, "\n") != 1+50*6 {
		t.Errorf("of 50 services not all are shown:\n%s", text)
	}
	const want = `in sync: boot loads generation 1, by the nft variant of iptables

10000 services, 2 in trouble; 30000 backends, 0 drained; 20000 connections, 10000 live
  natspread status --all shows each, natspread status SERVICE one

s0  tcp 192.0.2.1:80  2 of 3 up  2 connections, 1 live
  BACKEND      STATE    WEIGHT  WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  down 0s       1  0.00 %    0.00 %      0     -  refused

s1  tcp 192.0.2.1:80  2 of 3 up  2 connections, 1 live
  BACKEND      STATE    WEIGHT  WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  down 0s       1  0.00 %    0.00 %      0     -  refused
`
	if text := many.Text(plain(), false); text != want {
		t.Errorf("%s", text)
	}
	if all := many.Text(plain(), true); strings.Count(all, "\n") != 1+10000*6 {
		t.Errorf("--all has %d lines", strings.Count(all, "\n"))
	}
	if text, err := json.Marshal(many); err != nil || strings.Count(string(text), `"address"`) != 30000 {
		t.Errorf("programs read %d backends, %v", strings.Count(string(text), `"address"`), err)
	}
}

// TestBrief has 13 services fit a terminal of 24 rows, those in trouble first.
func TestBrief(t *testing.T) {
	status := manyServices(13, 0)
	status.Services[7] = manyServices(8, 8).Services[7]
	const want = `in sync: boot loads generation 1, by the nft variant of iptables

s7  tcp 192.0.2.1:80  2 of 3 up  2 connections, 1 live
  BACKEND      STATE    WEIGHT  WANTED  OBSERVED  TOTAL  LIVE
  10.0.0.1:80  down 0s       1  0.00 %    0.00 %      0     -  refused

s0  3 of 3 up  2 connections, 1 live
`
	text := status.Brief(plain())
	if !strings.HasPrefix(text, want) || strings.Count(text, "\n") != 18 {
		t.Error(text)
	}
	if many := manyServices(10000, 2); many.Brief(plain()) != many.Text(plain(), false) {
		t.Error("of 10,000 services there is no summary")
	}
}

// TestMuchTrouble bounds what a summary shows when everything is in trouble, whatever that is.
func TestMuchTrouble(t *testing.T) {
	status := manyServices(10000, 10000)
	for i := range 10000 {
		status.Findings = append(status.Findings, Finding{Severity: doctor.Broken, What: fmt.Sprint("finding ", i), Fix: "a line"})
		status.Out = append(status.Out, Out{Service: fmt.Sprint("s", i), Backend: "10.0.0.1:80"})
	}
	status.Rules = "12ab"
	text := status.Text(plain(), false)
	if lines := strings.Count(text, "\n"); lines > 200 || len(text) > 10000 {
		t.Errorf("%d lines, %d bytes", lines, len(text))
	}
	if shown := strings.Count(text, "\ns"); shown != mostTroubled {
		t.Errorf("%d services are shown", shown)
	}
	for _, want := range []string{"\n  and 9980 more findings: natspread status --all\n", "10.0.0.1:80 of s19, and 9980 more\n", "10000 services, 10000 in trouble; ", "\nand 9980 more in trouble\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if all := status.Text(plain(), true); strings.Count(all, "finding ") != 10000 || strings.Contains(all, " more ") {
		t.Error("--all does not show all")
	}
}

// TestTroubled tells which services a summary shows, and which backends of them.
func TestTroubled(t *testing.T) {
	unable := &Health{State: health.New}
	unable.record.Unable = 1
	for name, c := range map[string]struct {
		service  Service
		is       bool
		backends int
	}{
		"not checked":    {Service{Backends: []Backend{{}, {}}}, false, 0},
		"one drained":    {Service{Backends: []Backend{{Drained: true}, {}}}, false, 0},
		"all drained":    {Service{Backends: []Backend{{Drained: true}, {Drained: true}}}, true, 0},
		"up, and new":    {Service{Health: health.Normal, Backends: []Backend{{Health: &Health{State: health.Up}}, {Health: &Health{State: health.New}}}}, false, 0},
		"one is down":    {Service{Health: health.Normal, Backends: []Backend{{Health: &Health{State: health.Up}}, {Health: &Health{State: health.Down}}}}, true, 1},
		"cannot be told": {Service{Health: health.Normal, Backends: []Backend{{Health: unable}}}, true, 1},
		"backups":        {Service{Health: health.Backup, Backends: []Backend{{}}}, true, 0},
		"fail-open":      {Service{Health: health.FailOpen, Backends: []Backend{{}}}, true, 0},
	} {
		if concerned, is := c.service.troubled(); is != c.is || len(concerned) != c.backends {
			t.Errorf("%s: %v, %d backends", name, is, len(concerned))
		}
	}
}

// TestManyListens puts 10,000 listen addresses of a service on no line: not in the first one of the
// service, and with --all a few on each of their own.
func TestManyListens(t *testing.T) {
	for n, lines := range map[int]int{1: 0, mostListens: 0, mostListens + 1: 3, 10000: 2500} {
		listens := make([]string, n)
		for i := range listens {
			listens[i] = fmt.Sprintf("%q", fmt.Sprintf("192.0.%d.%d:80", i/250, i%250+1))
		}
		service := parsed(t, strings.Replace(web, `"192.0.2.10:80"`, "["+strings.Join(listens, ", ")+"]", 1)).Services[0]
		status := Status{Services: []Service{describe(service, nil, watched{})}}
		text, all := status.Text(plain(), false), status.Text(plain(), true)
		for line := range strings.Lines(all) {
			if len(line) > 250 {
				t.Errorf("%d listens: a line of %d bytes", n, len(line))
			}
		}
		if strings.Count(all, "\n  listens on ") != lines || strings.Count(text, "listens on") != 0 {
			t.Errorf("%d listens: %s", n, all)
		}
		if more := strings.Contains(text, fmt.Sprintf(" and %d more  random", n-mostListens+1)); more != (lines > 0) {
			t.Errorf("%d listens: %s", n, text)
		}
	}
}

// TestOnly shows one service, and helps who mistypes it.
func TestOnly(t *testing.T) {
	status := manyServices(300, 0)
	only, err := status.Only("s7")
	if err != nil || len(only.Services) != 1 || only.Services[0].Name != "s7" || len(status.Services) != 300 {
		t.Errorf("%+v, %v", only, err)
	}
	only.Rules = strings.Repeat("0123456789abcdef", 4)
	if text := only.Text(screen.Screen{Columns: 80}, false); !strings.Contains(text, "sha256 0123456789abcdef..., out: none\n") {
		t.Errorf("the beginning of the sum, at 80 columns: %s", text)
	}
	if text := only.Text(screen.Screen{Columns: 80}, true); strings.Contains(text, "...") {
		t.Errorf("the whole sum with --all: %s", text)
	}
	for name, want := range map[string]string{"s77x": "did you mean s77?", "wwwwww": `there is no service "wwwwww"; fix: natspread status --all`} {
		if _, err := status.Only(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Status{}).Only("web"); err == nil || !strings.Contains(err.Error(), "nothing is applied; fix: natspread apply") {
		t.Errorf("%v", err)
	}
}
