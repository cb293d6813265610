package doctor

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestOrder prints the worst first, and those of one severity always in one order.
func TestOrder(t *testing.T) {
	h := host(t, []txtar.File{
		{Name: "proc/net/ipv4/ip_forward", Data: []byte("0\n")}, {Name: "usr/lib/systemd/systemd"},
		{Name: "usr/lib/systemd/system/natspread.service", Data: []byte("[Service]\n")},
		{Name: "etc/systemd/system/multi-user.target.wants/natspread.service"},
		{Name: "usr/lib/systemd/system/ferm.service", Data: []byte("[Service]\n")}, {Name: "etc/systemd/system/multi-user.target.wants/ferm.service"},
	})
	b := Balancer{
		Services: []config.Service{webService()}, Variant: "nft", Unread: errors.New("no rights"), Applied: 3,
		Hooks: rules.Hooks{Rulesets: []rules.Ruleset{rules.ParseRuleset(rules.IPv4, "nft", []byte("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"))}},
	}
	first := reported(findAll(h, b))
	var severities []string
	for line := range strings.Lines(first) {
		if severity, _, found := strings.Cut(line, ": "); found && line[0] != ' ' {
			severities = append(severities, severity)
		}
	}
	rank := []string{Broken.String(), AtBoot.String(), Risk.String()}
	if !slices.IsSortedFunc(severities, func(a, b string) int { return slices.Index(rank, a) - slices.Index(rank, b) }) ||
		len(slices.Compact(severities)) != len(rank) {
		t.Errorf("%s", first)
	}
	if again := reported(findAll(h, b)); again != first {
		t.Errorf("%s\nand then\n%s", first, again)
	}
	if !strings.Contains(first, "risk: cannot tell what other rules do with connections: no rights\n") {
		t.Errorf("%s", first)
	}
}
