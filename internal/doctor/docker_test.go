package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestRouter says what becomes of each policy, and only with Docker how to fix it.
func TestRouter(t *testing.T) {
	for policy, want := range map[string]string{
		"ACCEPT": "the policy of FORWARD is ACCEPT, and Docker leaves it so: Docker sets",
		"DROP":   "the policy of FORWARD is DROP now, but ACCEPT after a boot where only Docker sets it: Docker sets",
		"":       "the policy of FORWARD is ACCEPT when this image boots, and Docker leaves it so: Docker sets",
	} {
		for family, program := range map[rules.Family]string{rules.IPv4: "iptables", rules.IPv6: "ip6tables"} {
			wanted := map[string][]Finding{"ACCEPT": {{Risk, family.String() + ": the host forwards packets for everybody from now on, unless FORWARD drops them", rules.CloseForward(family)}},
				"": {{Risk, family.String() + ": the host forwards packets for everybody when this image boots, unless FORWARD drops them", ""}}}[policy]
			if without := host(t, nil).Router(family, policy); !slices.Equal(without, wanted) { // a policy of DROP is nobody's fault
				t.Errorf("%q without Docker: %+v", policy, without)
			}
			for _, file := range dockerFiles {
				found := host(t, []txtar.File{{Name: file}}).lets(family, policy)
				if !strings.HasPrefix(found.What, fmt.Sprintf("%v: %s", family, want)) || !strings.Contains(found.What, "moby#50566") {
					t.Errorf("%q with %s: %s", policy, file, found.What)
				}
				if found.Fix != program+" -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT && "+program+" -P FORWARD DROP # until the next boot" {
					t.Errorf("%s", found.Fix)
				}
			}
		}
	}
}

// TestRouterByAnyLink finds a unit that is a link, also to a target that is not there yet.
func TestRouterByAnyLink(t *testing.T) {
	linked := host(t, []txtar.File{{Name: "etc/systemd/system/docker.service", Data: []byte("-> /opt/missing\n")}})
	if found := linked.lets(rules.IPv4, "ACCEPT"); found.Fix == "" {
		t.Errorf("%+v", found)
	}
}

// TestRouterOfImage finds Docker in the image and not on the machine that builds it.
func TestRouterOfImage(t *testing.T) {
	machine := t.TempDir()
	write(t, filepath.Join(machine, "bin/dockerd"), "")
	if found := host(t, []txtar.File{{Name: "usr", Data: []byte("-> " + machine)}}).lets(rules.IPv4, ""); found.Fix != "" {
		t.Errorf("%+v", found)
	}
	linked := host(t, []txtar.File{{Name: "lib", Data: []byte("-> usr/lib")}, {Name: "usr/lib/systemd/system/docker.service"}})
	if found := linked.lets(rules.IPv4, ""); found.Fix == "" {
		t.Errorf("%+v", found)
	}
}

// TestDockerCloses tells for each family whether Docker's unit sets the policy, which is
// what the fix makes it do.
func TestDockerCloses(t *testing.T) {
	const unitFile = "usr/lib/systemd/system/docker.service"
	for _, family := range rules.Families() {
		other := rules.IPv6 - family
		closed := host(t, []txtar.File{
			{Name: unitFile, Data: []byte("[Service]\nExecStart=/usr/bin/dockerd\n")},
			{Name: "etc/systemd/system/docker.service.d/forward.conf", Data: fmt.Appendf(nil, "[Service]\nExecStartPre=/bin/sh -c '%s -w -P FORWARD DROP'\n", rules.Program(family, "", ""))},
		})
		if !closed.dockerCloses(family) || closed.dockerCloses(other) {
			t.Errorf("%v: %v, %v", family, closed.dockerCloses(family), closed.dockerCloses(other))
		}
		e := examination{Host: closed, Balancer: Balancer{Services: []config.Service{serviceOf(family)}, Variant: "nft"}}
		wantFindings(t, e.docker(), "risk: "+family.String()+": the policy of FORWARD is ACCEPT")
		e.Rulesets = []rules.Ruleset{rules.ParseRuleset(family, "nft", []byte("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"))}
		wantFindings(t, e.docker())
		e.Services[0] = serviceOf(other)
		e.Rulesets[0].Family = other
		wantFindings(t, e.docker(), "risk: "+other.String()+": the policy of FORWARD is DROP now")
	}
}
