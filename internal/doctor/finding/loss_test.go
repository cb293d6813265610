package finding

import (
	"net/netip"
	"testing"
)

// TestLost goes by what findings are about, and by no word of theirs: a service may have any of them as its name.
func TestLost(t *testing.T) {
	t.Parallel()
	here, there := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	const what = "no route leads to backend 10.0.0.2 of every service: risk, web, mail"
	loss := Loss{Services: []string{"web"}, Backends: []netip.Addr{here}}
	routed := loss
	routed.AtRisk = true
	for name, c := range map[string]struct {
		Finding
		service, backend, both bool // whether it is about web; about 10.0.0.1; about mail and 10.0.0.2
	}{
		"words alone":      {Finding: Finding{Severity: Broken}},
		"broken":           {Finding: Finding{Severity: Broken, Loss: loss}, service: true, backend: true},
		"its subject":      {Finding: Finding{Severity: Broken, Of: Subject{Name: "10.0.0.1", Services: []string{"web"}}}, service: true},
		"every connection": {Finding: Finding{Severity: Broken, Loss: Loss{All: true}}, service: true, backend: true, both: true},
		"at boot":          {Finding: Finding{Severity: AtBoot, Loss: loss}},
		"a risk":           {Finding: Finding{Severity: Risk, Loss: loss}},
		"a risk of all":    {Finding: Finding{Severity: Risk, Loss: Loss{All: true}}},
		"a risk of now":    {Finding: Finding{Severity: Risk, Loss: routed}, backend: true},
		"no route":         {Finding: Finding{Severity: Broken, Loss: routed}, service: true, backend: true},
	} {
		c.What = what
		lost := Lost([]Finding{{Severity: Broken, What: what}, c.Finding})
		for _, ask := range []struct {
			service string
			backend netip.Addr
			want    bool
		}{
			{"web", there, c.service}, {"mail", here, c.backend}, {"mail", there, c.both},
			{"every", there, c.both}, {"risk", there, c.both}, {"backend", there, c.both}, {"route", there, c.both},
		} {
			if got := lost.Has(ask.service, ask.backend); got != ask.want {
				t.Errorf("%s: connections of %s to %v are lost: %v", name, ask.service, ask.backend, got)
			}
		}
	}
}
