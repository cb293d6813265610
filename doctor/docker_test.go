package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/nat"
)

// TestRouter says of each policy what becomes of it, and only with Docker how to
// mend it.
func TestRouter(t *testing.T) {
	for policy, want := range map[string]string{
		"ACCEPT": "the policy of FORWARD is ACCEPT, and Docker leaves it so: it sets",
		"DROP":   "the policy of FORWARD is DROP now, but ACCEPT after a boot where only Docker sets it: it sets",
		"":       "the policy of FORWARD is ACCEPT when this image boots, and Docker leaves it so: it sets",
	} {
		for family, program := range map[nat.Family]string{nat.IPv4: "iptables", nat.IPv6: "ip6tables"} {
			without := host(t, nil).Router(family, policy)
			if without.Mend != "" || strings.Contains(without.What, "Docker") || !strings.HasPrefix(without.What, family.String()+": ") {
				t.Errorf("%q without Docker: %+v", policy, without)
			}
			for _, file := range dockerFiles {
				found := host(t, []txtar.File{{Name: file}}).Router(family, policy)
				if !strings.HasPrefix(found.What, fmt.Sprintf("%v: %s", family, want)) || !strings.Contains(found.What, "moby#50566") {
					t.Errorf("%q with %s: %s", policy, file, found.What)
				}
				if found.Mend != program+" -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT && "+program+" -P FORWARD DROP" {
					t.Errorf("%s", found.Mend)
				}
			}
		}
	}
}

// TestRouterByAnyLink knows a unit by a link, too, be its target not there yet.
func TestRouterByAnyLink(t *testing.T) {
	linked := host(t, []txtar.File{{Name: "etc/systemd/system/docker.service", Data: []byte("-> /opt/missing\n")}})
	if found := linked.Router(nat.IPv4, "ACCEPT"); found.Mend == "" {
		t.Errorf("%+v", found)
	}
}

// TestRouterOfImage finds Docker in the image and not on the machine that builds it.
func TestRouterOfImage(t *testing.T) {
	machine := t.TempDir()
	write(t, filepath.Join(machine, "bin/dockerd"), "")
	if found := host(t, []txtar.File{{Name: "usr", Data: []byte("-> " + machine)}}).Router(nat.IPv4, ""); found.Mend != "" {
		t.Errorf("%+v", found)
	}
	linked := host(t, []txtar.File{{Name: "lib", Data: []byte("-> usr/lib")}, {Name: "usr/lib/systemd/system/docker.service"}})
	if found := linked.Router(nat.IPv4, ""); found.Mend == "" {
		t.Errorf("%+v", found)
	}
}
