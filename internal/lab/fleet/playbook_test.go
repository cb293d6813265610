package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/pagetest"
)

// The role of the playbook is on a page of its own.
const (
	rolePath = "../../../docs/ansible.md"
	roleText = "roles/natspread/tasks/main.yml"
)

// fleet is three balancers that a playbook knows.
type fleet struct {
	t       *testing.T
	dir     string // of the playbook
	program string
	variant string
	config  string            // the new one
	vars    map[string]string // of a host, beside the others
}

// root is where a balancer has its files.
func (f fleet) root(host string) string { return filepath.Join(f.dir, host) }

// configOf returns what a balancer has as its config.
func (f fleet) configOf(host string) string {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.root(host), paths.Config))
	hosttest.Must(f.t, err)
	return string(text)
}

// play runs the page's playbook.
func (f fleet) play() (string, error) {
	f.t.Helper()
	var inventory strings.Builder
	inventory.WriteString("[balancers]\n")
	for _, host := range []string{"l2", "l1", "l3"} { // l2 stands by
		fmt.Fprintf(&inventory, "%s ansible_connection=local ansible_python_interpreter=/usr/bin/python3 config=%s natspread='ip netns exec %s %s --root %s --live --variant %s' %s\n",
			host, filepath.Join(f.root(host), paths.Config), host, f.program, f.root(host), f.variant, f.vars[host])
	}
	for name, text := range map[string]string{"hosts": inventory.String(), "natspread.toml": f.config} {
		hosttest.Must(f.t, os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644))
	}
	cmd := exec.Command("ansible-playbook", "-i", "hosts", "fleet.yml")
	cmd.Dir = f.dir
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCAL_TEMP="+f.dir, "ANSIBLE_REMOTE_TEMP="+f.dir, "ANSIBLE_HOME="+f.dir, "ANSIBLE_NOCOLOR=1", "ANSIBLE_PIPELINING=1", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPlaybook runs the page's: it changes one balancer after the other, and stops at the first
// that is not as the first one is.
func TestPlaybook(t *testing.T) {
	netnstest.Need(t, "ansible-playbook", "ansible-core")
	program := filepath.Join(netnstest.Build(t, "natspread/cmd/natspread"), "natspread")
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.IsolateAsRoot(t) {
				texts, err := readPage(pagePath)
				hosttest.Must(t, err)
				playPlaybook(t, fleet{t: t, dir: t.TempDir(), program: program, variant: variant, vars: map[string]string{}}, texts)
			}
		})
	}
}

// playPlaybook tries a change, a config that is wrong, and a balancer that differs.
func playPlaybook(t *testing.T, f fleet, texts map[string]string) {
	// On one machine each balancer's natspread and its config are where its host says.
	here := strings.NewReplacer(
		"path: /"+filepath.Dir(paths.Config), `path: "{{ config | dirname }}"`, "dest: /"+paths.Config, `dest: "{{ config }}"`,
		"validate: natspread --config %s check", `validate: "{{ natspread }} --config %s check"`, "cmd: natspread --config - diff", `cmd: "{{ natspread }} --config - diff"`,
		"command: natspread apply --json", `command: "{{ natspread }} apply --json"`, "command: natspread status --json", `command: "{{ natspread }} status --json"`,
	)
	role := filepath.Join(f.dir, roleText)
	hosttest.Must(t, os.MkdirAll(filepath.Dir(role), 0o755))
	hosttest.Must(t, os.WriteFile(role, []byte(here.Replace(pagetest.Texts(t, rolePath, "yaml")[roleText])), 0o644))
	hosttest.Must(t, os.WriteFile(filepath.Join(f.dir, "fleet.yml"), []byte(here.Replace(texts[playbookText])), 0o644))
	for _, host := range []string{"l1", "l2", "l3"} {
		netnstest.NewHost(t, host).Command(t, "link add e1 type veth peer name e2\naddr add 10.0.0.254/24 dev e1\nlink set e1 up\nlink set e2 up\n", "ip", "-batch", "-") // the way to the backends
		hosttest.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(f.root(host), paths.Config)), 0o755))
	}
	f.config = texts[configText]
	if out, err := f.play(); err != nil || strings.Count(out, "failed=0") != 3 {
		t.Fatalf("three balancers: %v\n%s", err, out)
	}

	right := f.config
	f.config = strings.Replace(right, "10.0.0.3:80", "10.0.0.3:0", 1)
	out, err := f.play()
	if err == nil || !strings.Contains(out, "cannot use") || f.configOf("l2") != right || strings.Contains(out, "[l1]") {
		t.Fatalf("a wrong config: %v\n%s", err, out)
	}

	f.config = strings.Replace(right, "10.0.0.3:80", "10.0.0.4:80", 1)
	f.vars["l1"] = "config=" + filepath.Join(f.root("l1"), "elsewhere") // so it applies what it had
	out, err = f.play()
	if err == nil || !strings.Contains(out, "other rules than on l2") || f.configOf("l2") != f.config || f.configOf("l3") != right || strings.Contains(out, "[l3]") {
		t.Fatalf("a balancer with other rules: %v\n%s", err, out)
	}
}
