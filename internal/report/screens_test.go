package report

import (
	"errors"
	"flag"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/internal/test/configtest"
	"natspread/internal/test/screentest"
	"natspread/restore/generation"
)

// update rewrites the goldens of screens.
var update = flag.Bool("update", false, "rewrite the screens in testdata/screens")

// The configs of the screens below: of one family, of the longest addresses, and of both with the longest names.
const (
	screenIPv4 = `[[service]]
name = "web"
listen = "192.0.2.10:80,443"
backends = ["10.0.0.1", { address = "10.0.0.2", weight = 2 }, { address = "10.0.0.3", drain = true }]

[[service]]
name = "dns"
listen = "192.0.2.10:53"
protocol = ["tcp", "udp"]
algorithm = "source"
allow = ["192.0.2.0/24", "198.51.100.0/24"]
backends = ["10.0.0.1:53", "10.0.0.2:53"]
`
	screenIPv6 = `[[service]]
name = "web"
listen = ["[2001:db8:1111:2222:3333:4444:5555:6666]:443", "[2001:db8:1111:2222:3333:4444:5555:7777]:443"]
backends = ["[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", "[fd00:1111:2222:3333:4444:5555:6666:8888]:8443"]

[[service]]
name = "dns"
listen = "[2001:db8::10]:53"
backends = ["[fd00::1]:53", "[fd00::2]:53"]
`
	screenMixed = `[[service]]
name = "the-longest-name-of-a-service-32"
listen = ["192.0.2.10:8080", "[2001:db8::10]:8080"]
snat = ["192.0.2.11", "2001:db8::11"]
forward = "accept"
clamp_mss = true
deny = ["203.0.113.0/24", "2001:db8:bad::/48"]
check = "http"
backends = ["10.100.200.101:8080", "10.100.200.102:8080", "[fd00:1111:2222:3333:4444:5555:6666:7777]:8080", "[fd00:1111:2222:3333:4444:5555:6666:8888]:8080"]
`
)

// screenOf is the status of what is loaded of a config. The backends of each service got so many connections each, and
// one less is open at each than at the one before.
func screenOf(t *testing.T, text string, watched watched, got ...int) Status {
	t.Helper()
	cfg := parsed(t, text)
	status := Status{State: InSync, Variant: rules.NFT, Generation: 3, Rules: strings.Repeat("0123456789abcdef", 4), Notes: watched.lines(cfg.Services), Out: watched.printedOuts(cfg.Services)}
	for _, service := range cfg.Services {
		described := describe(service, nil, watched)
		sum, all := len(got), 0
		for i := range described.Backends {
			backend := &described.Backends[i]
			if i < len(got) {
				live := sum - i
				backend.Connections, backend.Live = uint64(got[i]), &live
				described.Connections, all = described.Connections+backend.Connections, all+live
			}
		}
		for i := range described.Backends {
			described.Backends[i].ObservedShare = ratio(float64(described.Backends[i].Connections), float64(described.Connections))
		}
		if sum > 0 {
			described.Live = &all
		}
		status.Services = append(status.Services, described)
	}
	return status
}

// screenHealth is the status of services with checks: all that can be of their backends, and with findings.
func screenHealth(t *testing.T) Status {
	t.Helper()
	cfg := strings.NewReplacer("name = \"web\"\n", "name = \"web\"\ncheck = { type = \"http\", port = 80 }\n",
		"]\n\n[[service]]", ", \"10.0.0.4\", \"10.0.0.5\", { address = \"10.0.0.9\", backup = true }]\n\n[[service]]").Replace(screenIPv4)
	record := recorded(t, parsed(t, cfg), "up", "no answer in 1s: read tcp 10.0.0.254:41234->10.0.0.2:80: i/o timeout", "up", "up", "unable", "up")
	note := outOf(health.Normal, "10.0.0.2", "10.0.0.4")
	note.Services[0].Out[1].Reason = health.ByHand
	status := screenOf(t, cfg, watchedAt(record, true, note), 120033, 60010)
	status.State = Impaired
	status.Findings = FindingsOf([]doctor.Finding{
		{Severity: doctor.Broken, What: "ipv4: connections of dns to 10.0.0.2:53 are dropped by the nft variant: rule 3 of FORWARD of the filter table: -A FORWARD -d 10.0.0.2/32 -j DROP", Fix: "iptables-nft -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = \"accept\" in service dns, then: natspread apply"},
		{Severity: doctor.AtBoot, What: "/etc/sysctl.d/99-local.conf:3 sets net.ipv4.ip_forward to 0", Fix: "sed -i '3d' /etc/sysctl.d/99-local.conf"},
	})
	status.Notes = append(status.Notes, "the config has changes that are not applied; fix: natspread diff")
	return status
}

// The configs that a difference is shown of: a service of long addresses and one of clients in slots change, one comes
// and one goes.
const (
	screenBefore = `[[service]]
name = "web-for-everybody"
listen = "[2001:db8:1111:2222:3333:4444:5555:6666]:443"
backends = ["[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", "[fd00:1111:2222:3333:4444:5555:6666:8888]:8443"]

[[service]]
name = "dns"
listen = "192.0.2.10:53"
protocol = ["tcp", "udp"]
algorithm = "source"
backends = ["10.0.0.1:53", { address = "10.0.0.2:53", weight = 2 }, { address = "10.0.0.3:53", drain = true }]

[[service]]
name = "old"
listen = "192.0.2.10:8080"
backends = ["10.0.0.1:8080", "10.0.0.2:8080"]
`
	screenAfter = `[[service]]
name = "web-for-everybody"
listen = "[2001:db8:1111:2222:3333:4444:5555:6666]:443"
snat = "none"
backends = ["[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", { address = "[fd00:1111:2222:3333:4444:5555:6666:9999]:8443", weight = 3 }]

[[service]]
name = "dns"
listen = "192.0.2.10:53"
protocol = ["tcp", "udp"]
algorithm = "source"
backends = ["10.0.0.1:53", { address = "10.0.0.2:53", weight = 3 }, "10.0.0.3:53"]

[[service]]
name = "mail"
listen = "192.0.2.10:25,465,587"
backends = ["10.0.0.7", { address = "10.0.0.8", weight = 3 }]
`
)

// screenDiff is a difference of all kinds.
func screenDiff(t *testing.T) Diff {
	t.Helper()
	changes := serviceChanges(parsed(t, screenBefore), parsed(t, screenAfter), rules.Families())
	return Diff{Differ: true, Services: changes, loaded: 3, Findings: FindingsOf([]doctor.Finding{
		{Severity: doctor.Broken, What: "ipv4: net.ipv4.ip_forward is not 1: what comes for 192.0.2.10:80 is not passed on", Fix: "natspread apply"},
	})}
}

// screenFindings are those of doctor: long ones and short ones, with and without a fix.
func screenFindings() []Finding {
	return FindingsOf([]doctor.Finding{
		{Severity: doctor.Broken, What: "backend 10.0.0.7 of web does not answer: no neighbour on back has this address"},
		{Severity: doctor.Broken, What: "ipv6: replies of backends of web are not translated back: rule 1 of PREROUTING of the raw table (nft): -A PREROUTING -i front -j CT --notrack", Fix: "ip6tables-nft -t raw -D PREROUTING -i front -j CT --notrack # until what put it there does so again"},
		{Severity: doctor.AtBoot, What: "natspread.service is not enabled: nothing loads the rules at boot", Fix: "systemctl enable natspread.service"},
		{Severity: doctor.Risk, What: "net.netfilter.nf_conntrack_max is 1024, and 900 connections are tracked: a full table drops new connections", Fix: "sysctl -w net.netfilter.nf_conntrack_max=262144"},
	})
}

// screenHistory has generations of all kinds.
func screenHistory() History {
	var entries []generation.Entry
	for i, one := range []struct {
		command, config string
		problem         error
	}{
		{"apply", screenIPv4, nil},
		{"drain", strings.Replace(screenIPv4, "weight = 2", "drain = true", 1), nil},
		{"apply --confirm", screenAfter, nil},
		{"apply", "", errors.New("generation 11 is not good: rules.v4 is not the file that was written: its sum is another one than that in manifest.json")},
		{"rollback 1", screenIPv4, nil},
		{"apply", screenBefore, nil},
	} {
		entries = append([]generation.Entry{{
			Manifest: generation.Manifest{Number: 8 + i, Command: one.command, Created: noon().Add(time.Duration(i) * time.Hour)},
			Config:   configfiles.Alone("natspread.toml", []byte(one.config)), Problem: one.problem, IsCurrent: i == 4, IsBoot: i == 4, IsPending: i == 5,
		}}, entries...)
	}
	return HistoryOf(entries)
}

// made matches the time of a generation, which is that of the place where the test runs.
var made = regexp.MustCompile(`2026-01-\d\d \d\d:00:00`)

// TestScreens compares what people see of a host, on terminals of 80 and of 120 columns.
func TestScreens(t *testing.T) {
	t.Parallel()
	status := func(status Status) func(screen.Screen) string {
		return func(on screen.Screen) string { return status.Text(on, false) }
	}
	nobody := watched{}
	mixed := screenOf(t, screenMixed, watchedAt(recorded(t, parsed(t, screenMixed), "up", "status 503 Service Unavailable"), true, health.Note{}), 1234567, 765432)
	none := Status{State: NotLoaded, Variant: rules.Legacy, Generation: 3, Findings: FindingsOf([]doctor.Finding{{Severity: doctor.Broken, What: "no rule of natspread is loaded, although generation 3 is to be", Fix: "natspread restore"}})}
	screentest.Each(t, "../../testdata/screens", *update, map[string]screentest.Shown{
		"status-ipv4":   {Why: "Two services as they are most of the time: shares, one backend is drained, clients in slots.", Text: status(screenOf(t, screenIPv4, nobody, 33, 67))},
		"status-unused": {Why: "Nobody has connected since the load: no share is observed.", Text: status(screenOf(t, screenIPv4, nobody))},
		"status-ipv6":   {Why: "The longest addresses: on 80 columns a backend has two lines.", Text: status(screenOf(t, screenIPv6, nobody, 33, 67))},
		"status-mixed":  {Why: "Both families, a long name, many keys, and numbers of seven digits.", Text: status(mixed)},
		"status-health": {Why: "Backends that are up, down and drained since some time, a backup, findings, and a fix in a note.", Text: status(screenHealth(t))},
		"status-many":   {Why: "10,000 services: a summary, and those in trouble.", Text: status(manyServices(10000, 2))},
		"status-none":   {Why: "Nothing is loaded.", Text: status(none)},
		"status-brief":  {Why: "status --watch on a terminal of few rows: those in trouble first, a line for each other one.", Text: manyServices(6, 1).Brief},
		"diff":          {Why: "Services that come, go and change, with long addresses, and a finding.", Text: func(on screen.Screen) string { return screenDiff(t).Text(on, false) }},
		"doctor":        {Why: "Findings of each severity, long and short.", Text: func(on screen.Screen) string { return FindingsText(on, screenFindings()) }},
		"history": {Why: "Generations of all kinds; one is current, one is not good.", Text: func(on screen.Screen) string {
			return made.ReplaceAllString(screenHistory().Text(on), "2026-01-02 12:00:00")
		}},
	})
}

// TestAnyScreenFits draws configs, and no line about what is loaded of them, or about what changes from one to the other,
// is wider than a terminal, or says less without styles.
func TestAnyScreenFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := configtest.Config().Draw(t, "before"), configtest.Config().Draw(t, "after")
		var status Status
		for _, service := range before.Services {
			status.Services = append(status.Services, describe(service, nil, watched{}))
		}
		difference := Diff{Services: serviceChanges(before, after, rules.Families())}
		shown := func(on screen.Screen) string { return status.Text(on, true) + difference.Text(on, false) }
		for _, columns := range screentest.Columns() {
			text := shown(screen.Screen{Columns: columns, Styled: true})
			screentest.Check(t, text, columns)
			if screentest.Plain(text) != shown(screen.Screen{Columns: columns}) {
				t.Error("without styles it says something else")
			}
		}
	})
}
