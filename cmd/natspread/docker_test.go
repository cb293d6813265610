package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
)

// dockerStarts does what Docker's daemon does to forwarding when it starts: only if
// it has to switch it on itself it sets the policy of FORWARD to DROP (moby#50566).
const dockerStarts = `if [ "$(cat /proc/sys/net/ipv4/ip_forward)" != 1 ]; then
  echo 1 > /proc/sys/net/ipv4/ip_forward
  iptables-$1 -w 5 -P FORWARD DROP
fi`

// startDocker starts what stands for Docker.
func startDocker(t *testing.T, variant string) {
	t.Helper()
	if said, err := exec.Command("sh", "-c", dockerStarts, "sh", variant).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// What install says on a host with Docker is what becomes of it: a Docker that starts
// first sets the policy of FORWARD, and after a boot, where natspread comes first, it
// does not.
func TestInstallBesideDocker(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				installBesideDocker(t, liveMachine(t, variant), variant)
			}
		})
	}
}

// installBesideDocker installs without Docker, with one that started first, and with
// one that started after natspread.
func installBesideDocker(t *testing.T, machine *fakeSystemd, variant string) {
	says := func(want, fix string) {
		t.Helper()
		got := machine.onMachine("install").want(t, exitDone)
		_, words, _ := strings.Cut(got.err, "started natspread.service\n")
		words = regexp.MustCompile("note: ipv4: connections of web to .*\n").ReplaceAllString(words, "") // what that policy drops now
		if !strings.HasPrefix(words, "note: ipv4: "+want) || strings.Contains(words, "ipv6") || strings.Contains(words, "fix: ") != (fix != "") ||
			!strings.HasSuffix(words, fix) {
			t.Errorf("install says %q; want %q, %q", words, want, fix)
		}
		if quiet := machine.onMachine("install", "-q").want(t, exitDone); quiet.err != "" {
			t.Errorf("-q leaves %q", quiet.err)
		}
	}
	const fix = "; fix: iptables -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT && iptables -P FORWARD DROP # until the next boot\n"
	says("the host forwards packets for everybody from now on, unless FORWARD drops them"+fix, fix)
	machine.onMachine("uninstall").want(t, exitDone)

	writeFile(t, "/etc/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd\n")
	startDocker(t, variant)
	says("the policy of FORWARD is DROP now, but ACCEPT after a boot where only Docker sets it: ", fix)

	// A boot: nothing is forwarded, and there is no filter table that says DROP.
	machine.onMachine("stop").want(t, exitDone)
	for _, step := range []string{"iptables-" + variant + " -P FORWARD ACCEPT", "echo 0 > /proc/sys/net/ipv4/ip_forward"} {
		if said, err := exec.Command("sh", "-c", step).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", step, err, said)
		}
	}
	if err := os.RemoveAll("/run/natspread"); err != nil {
		t.Fatal(err)
	}
	machine.onMachine("restore").want(t, exitDone)
	startDocker(t, variant)
	says("the policy of FORWARD is ACCEPT, and Docker leaves it so: ", fix)

	// The fix is a line that can be typed.
	_, line, _ := strings.Cut(strings.TrimSpace(fix), "fix: ")
	line = strings.ReplaceAll(line, "iptables ", "iptables-"+variant+" ")
	if said, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, said)
	}
	says("the policy of FORWARD is DROP now, ", fix)
}
