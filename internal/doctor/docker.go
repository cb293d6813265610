package doctor

import (
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/hostfiles"
	"natspread/internal/rules"
)

// dockerFiles are those that show that a host has Docker: its unit, from a package or a
// snap, or its daemon.
var dockerFiles = []string{
	"/etc/systemd/system/docker.service", "/usr/lib/systemd/system/docker.service", "/lib/systemd/system/docker.service",
	"/etc/systemd/system/snap.docker.dockerd.service",
	"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd",
}

// Router finds who can send packets through a host that forwards a family from now on. Where the policy is DROP
// only Docker changes that.
func (h Host) Router(family rules.Family, policy string) []Finding {
	if policy == "DROP" && !h.hasDocker() {
		return nil
	}
	return []Finding{h.lets(family, policy)}
}

// lets is the finding of a host that forwards for everybody.
// policy is the policy of its FORWARD chain now, ACCEPT or DROP, and "" for an image,
// which has none yet. Docker sets the policy to DROP only when Docker itself switches
// forwarding on (moby#50566). After a boot in which natspread comes first, Docker does not
// set it, even where it is DROP now. Before Docker 28 its own rules need that policy to
// drop packets for ports that are not published.
func (h Host) lets(family rules.Family, policy string) Finding {
	from := "from now on"
	if policy == "" {
		from = "when this image boots"
	}
	found := Finding{Severity: Risk, What: fmt.Sprintf("%v: the host forwards packets for everybody %s, unless FORWARD drops them", family, from)}
	if !h.hasDocker() {
		if policy != "" {
			found.Fix = rules.CloseForward(family)
		}
		return found
	}
	now := fmt.Sprintf("%s now, but ACCEPT after a boot where only Docker sets it", policy)
	switch policy {
	case "ACCEPT":
		now = "ACCEPT, and Docker leaves it so"
	case "":
		now = "ACCEPT when this image boots, and Docker leaves it so"
	}
	found.What = fmt.Sprintf("%v: the policy of FORWARD is %s: Docker sets DROP only when it finds forwarding off (moby#50566), "+
		"and natspread comes first; the host then forwards for everybody, before Docker 28 to containers' ports that are not published, too", family, now)
	found.Fix = rules.CloseForward(family)
	return found
}

// docker tells what Docker does with the policy of FORWARD, unless its unit sets that.
func (e examination) docker() []Finding {
	if !e.hasDocker() {
		return nil
	}
	var found []Finding
	for _, family := range e.families() {
		policy := "ACCEPT" // of a table that does not exist
		inUse, _ := e.rulesets(family)
		if forward, exists := inUse.Chain("filter", rules.Forward); exists {
			policy = forward.Policy
		}
		if policy == "DROP" && e.dockerCloses(family) {
			continue
		}
		one := e.lets(family, policy)
		if _, present := e.files().First("system/" + dockerUnit); present && e.allAccepted(family) {
			one.Fix = closing(family)
		}
		found = append(found, one)
	}
	return found
}

// dockerUnit is the unit that packages install.
const dockerUnit = "docker.service"

// dockerCloses tells whether Docker's unit sets the policy of FORWARD to DROP.
func (h Host) dockerCloses(family rules.Family) bool {
	return slices.ContainsFunc(h.files().UnitOptions(dockerUnit), func(o hostfiles.Option) bool {
		return strings.HasPrefix(o.Name, "ExecStart") && strings.Contains(o.Value, rules.Program(family, "", "")) && strings.Contains(o.Value, "-P FORWARD DROP")
	})
}

// allAccepted tells whether natspread has rules that let the connections of every service
// of a family through. Then no policy stops them, not even after a boot.
func (b Balancer) allAccepted(family rules.Family) bool {
	return !slices.ContainsFunc(b.Services, func(s config.Service) bool { return familyOf(s) == family && s.Forward != config.Accept })
}

// closing returns the line that sets the policy of FORWARD to DROP, now and whenever
// Docker starts.
func closing(family rules.Family) string {
	const dropIns = "/etc/systemd/system/" + dockerUnit + ".d"
	set := rules.Program(family, "", "") + " -P FORWARD DROP"
	return fmt.Sprintf(`mkdir -p %[1]s && printf "[Service]\nExecStartPre=/bin/sh -c '%[2]s'\n" > %[1]s/forward-%[3]v.conf && systemctl daemon-reload && %[2]s`, dropIns, set, family)
}

// hasDocker tells whether Docker is installed.
func (h Host) hasDocker() bool { return slices.ContainsFunc(dockerFiles, h.files().Exists) }
