package recipetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/pagetest"
)

// The texts of docs/ansible.md.
const (
	roleText = "roles/natspread/tasks/main.yml"
	siteText = "site.yml"
)

// webConfig is the config, and otherConfig another one for the same host.
const (
	webConfig = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
`
	otherConfig = webConfig + "algorithm = \"source\"\n"
)

// TestAnsiblePage has no text that is not run.
func TestAnsiblePage(t *testing.T) {
	pagetest.WantNames(t, page(t, "ansible.md"), roleText, siteText)
}

// TestAnsible plays the page's role, as it stands there, against a host with the program alone.
func TestAnsible(t *testing.T) {
	netnstest.Need(t, "ansible-playbook", "ansible-core")
	program := filepath.Join(netnstest.Build(t, "natspread/cmd/natspread"), "natspread")
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.IsolateAsRoot(t) {
				ownFiles(t, rules.Variant(variant), program)
				playRole(t, rules.Variant(variant))
			}
		})
	}
}

// playRole plays it in check mode, for real, again without a change, in check mode with another config, and with a
// wrong one.
func playRole(t *testing.T, variant rules.Variant) {
	a := newAnsible(t)
	a.play(webConfig, true, "--check")("ok=4 changed=3", "+ web")
	a.wantConfig("")
	a.play(webConfig, true)("changed=3")
	a.wantConfig(webConfig)
	hosttest.WantLoaded(t, variant, webConfig)
	a.play(webConfig, true)("changed=0")
	a.play(otherConfig, true, "--check")("changed=2", "~ web")
	hosttest.WantLoaded(t, variant, webConfig)
	a.play(strings.Replace(webConfig, "2:80", "2:0", 1), false)("cannot use", "changed=0")
	a.wantConfig(webConfig)
	hosttest.WantLoaded(t, variant, webConfig)
}

// ownFiles gives this process, which must be isolated, an /etc, /var/lib and /usr/local of its own with the
// program, and the variant of iptables that the host chose.
func ownFiles(t *testing.T, variant rules.Variant, program string) {
	t.Helper()
	for _, dir := range []string{"/etc", "/var/lib", "/usr/local"} {
		upper, work := t.TempDir(), t.TempDir()
		hosttest.Must(t, os.Chmod(upper, 0o755))
		hosttest.Must(t, unix.Mount("test", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)))
	}
	for _, dir := range []string{"/etc/natspread", "/var/lib/natspread"} {
		hosttest.Must(t, os.RemoveAll(dir))
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, verb := range []string{"", "-save", "-restore"} {
			link := "/etc/alternatives/" + name + verb
			hosttest.Must(t, os.RemoveAll(link))
			hosttest.Must(t, os.Symlink("/usr/sbin/"+name+"-"+string(variant)+verb, link))
		}
	}
	text, err := os.ReadFile(program)
	hosttest.Must(t, err)
	hosttest.Must(t, os.WriteFile("/usr/local/sbin/natspread", text, 0o755))
	netnstest.Self().Command(t, `link add eth1 type veth peer name eth2
link set eth1 up
link set eth2 up
addr add 192.0.2.10/24 dev eth1
addr add 10.0.0.254/24 dev eth1
`, "ip", "-batch", "-")
}

// ansible is the directory of the page's role.
type ansible struct {
	t   *testing.T
	dir string
}

// newAnsible writes the page's texts and an inventory of this host.
func newAnsible(t *testing.T) ansible {
	t.Helper()
	a := ansible{t, t.TempDir()}
	for name, text := range page(t, "ansible.md") {
		a.write(name, text)
	}
	a.write("hosts", "[balancers]\nlocalhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
	return a
}

// write writes a file in the directory.
func (a ansible) write(name, text string) {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	hosttest.Must(a.t, os.MkdirAll(filepath.Dir(path), 0o755))
	hosttest.Must(a.t, os.WriteFile(path, []byte(text), 0o644))
}

// play plays the page's playbook with a config, and returns what wants words in what Ansible says.
func (a ansible) play(config string, good bool, options ...string) func(words ...string) {
	a.t.Helper()
	a.write("roles/natspread/files/natspread.toml", config)
	cmd := exec.Command("ansible-playbook", append([]string{"-i", "hosts", siteText}, options...)...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCAL_TEMP="+a.dir, "ANSIBLE_REMOTE_TEMP="+a.dir, "ANSIBLE_HOME="+a.dir, "ANSIBLE_NOCOLOR=1", "ANSIBLE_PIPELINING=1", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	said := strings.Join(strings.Fields(string(out)), " ")
	return func(words ...string) {
		a.t.Helper()
		for _, word := range words {
			if (err == nil) != good || !strings.Contains(said, word) {
				a.t.Fatalf("want %q: %v\n%s", word, err, out)
			}
		}
	}
}

// wantConfig compares the host's config, "" for none.
func (a ansible) wantConfig(want string) {
	a.t.Helper()
	got, err := os.ReadFile("/etc/natspread/natspread.toml")
	if want == "" && os.IsNotExist(err) {
		return
	}
	hosttest.Must(a.t, err)
	hosttest.WantSame(a.t, "the config", want, string(got))
}
