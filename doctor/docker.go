package doctor

import (
	"fmt"

	"natspread/nat"
)

// dockerFiles are those by which a host with Docker is known: its unit, from a
// package or a snap, or its daemon.
var dockerFiles = []string{
	"/etc/systemd/system/docker.service", "/usr/lib/systemd/system/docker.service", "/lib/systemd/system/docker.service",
	"/etc/systemd/system/snap.docker.dockerd.service",
	"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd",
}

// Router finds who is let through a host that forwards a family from now on. policy
// is the one of its FORWARD chain now, ACCEPT or DROP, and empty for an image, which
// has none yet. Docker sets it to DROP only when it is the one to switch forwarding
// on (moby#50566), so not after a boot in which natspread came first, even where it
// is DROP now. Its own rules need that policy before Docker 28, which drops what comes
// for a port that is not published.
func (h Host) Router(family nat.Family, policy string) Finding {
	found := Finding{Severity: Risk, What: fmt.Sprintf("%v: the host is a router from now on, for everybody: a policy for FORWARD is yours to set", family)}
	if !h.hasDocker() {
		return found
	}
	now := fmt.Sprintf("%s now, but ACCEPT after a boot where only Docker sets it", policy)
	switch policy {
	case "ACCEPT":
		now = "ACCEPT, and Docker leaves it so"
	case "":
		now = "ACCEPT when this image boots, and Docker leaves it so"
	}
	found.What = fmt.Sprintf("%v: the policy of FORWARD is %s: it sets DROP only when it finds forwarding off (moby#50566), "+
		"and natspread comes first; the host then forwards for everybody, before Docker 28 to containers' ports that are not published, too", family, now)
	program := map[nat.Family]string{nat.IPv4: "iptables", nat.IPv6: "ip6tables"}[family]
	found.Mend = fmt.Sprintf("%[1]s -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT && %[1]s -P FORWARD DROP", program)
	return found
}

// hasDocker tells whether Docker is installed.
func (h Host) hasDocker() bool {
	for _, file := range dockerFiles {
		if h.exists(file) {
			return true
		}
	}
	return false
}
