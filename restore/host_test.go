package restore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"natspread/internal/config"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/render"
	"natspread/restore"
)

// article is the balancer that most tests begin with, in both families.
const article = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
snat     = "192.0.2.10"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]

[[service]]
name     = "web6"
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80", "[fd00::3]:80"]
`

// smaller is the article's balancer with a backend less in each family.
const smaller = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
snat     = "192.0.2.10"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name     = "web6"
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80"]
`

// alone is one IPv4 service of another name.
const alone = `
[[service]]
name     = "dns"
protocol = "udp"
listen   = "192.0.2.10:53"
backends = ["10.0.0.1:53", "10.0.0.2:53"]
`

// eachVariant runs a test once a variant, in namespaces of its own.
func eachVariant(t *testing.T, test func(t *testing.T, variant rules.Variant)) {
	t.Helper()
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.Isolate(t) {
				test(t, rules.Variant(variant))
			}
		})
	}
}

// newHost returns a host with a root directory of its own, which is root's alone
// whatever the umask is.
func newHost(t testing.TB, variant rules.Variant) restore.Host {
	t.Helper()
	root := t.TempDir()
	must(t, os.Chmod(root, 0o700))
	return restore.Host{Root: root, Run: program.Exec(), Variant: variant, Version: "test", Pools: pools}
}

// wantSame compares what was with what is, line by line.
func wantSame(t testing.TB, what, before, after string) {
	t.Helper()
	if before != after {
		t.Errorf("%s changed:\n%s", what, diff.Diff("before", []byte(before), "after", []byte(after)))
	}
}

// must ends the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tables returns the tables that a config asks for.
func tables(t testing.TB, toml string) rules.Tables {
	t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(toml))
	must(t, err)
	return render.New(cfg)
}

// request asks for what a config says.
func request(t testing.TB, toml string) restore.Request {
	t.Helper()
	return restore.Request{
		Tables: tables(t, toml), Config: []byte(toml), Command: "apply",
		Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// pools reads the pools of a config.
func pools(toml []byte) ([]rules.VirtualService, error) {
	cfg, err := config.Parse("natspread.toml", toml)
	return render.VirtualServices(cfg.Services...), err
}

// apply applies a config, and fails the test when that does.
func apply(t testing.TB, host restore.Host, toml string) restore.Result {
	t.Helper()
	result, err := host.Apply(t.Context(), request(t, toml))
	must(t, err)
	return result
}

// family returns the number by which netnstest knows a family.
func family(f rules.Family) int {
	if f == rules.IPv6 {
		return 6
	}
	return 4
}

// comments are the lines of iptables-save that tell the time.
var comments = regexp.MustCompile(`(?m)^#.*\n`)

// save returns a family's nat table as the variant's own iptables-save prints it,
// less the comments.
func save(t testing.TB, variant rules.Variant, f rules.Family, args ...string) string {
	t.Helper()
	tool := netnstest.Programs(string(variant), family(f)).Save
	text := netnstest.Self().Command(t, "", tool, append([]string{"-t", "nat"}, args...)...)
	return comments.ReplaceAllString(text, "")
}

// emptyFilter is a filter table in which nobody has anything.
const emptyFilter = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"

// saveFilter returns a family's filter table with counters, without making one that is
// not there.
func saveFilter(t testing.TB, variant rules.Variant, f rules.Family) string {
	t.Helper()
	text := netnstest.Self().Command(t, "", netnstest.Programs(string(variant), family(f)).Save, "-c")
	_, table, found := strings.Cut(comments.ReplaceAllString(text, ""), "*filter\n")
	if !found {
		return emptyFilter
	}
	table, _, _ = strings.Cut(table, "COMMIT\n")
	return "*filter\n" + table + "COMMIT\n"
}

// accepted is a config in which every service asks for FORWARD to let it through.
func accepted(toml string) string {
	return strings.ReplaceAll(toml, "\nbackends", "\nforward = \"accept\"\nbackends")
}

// put hands a text to the variant's own iptables-restore.
func put(t testing.TB, variant rules.Variant, f rules.Family, text string, args ...string) {
	t.Helper()
	netnstest.Self().Command(t, text, netnstest.Programs(string(variant), family(f)).Restore, append(args, "-w", "5")...)
}

// iptables runs a command line, in which iptables stands for the variant's own.
func iptables(t testing.TB, variant rules.Variant, f rules.Family, line string) {
	t.Helper()
	tool := netnstest.Programs(string(variant), family(f)).Iptables
	netnstest.Self().Command(t, "", tool, append([]string{"-w", "5", "-t", "nat"}, strings.Fields(line)...)...)
}

// state is all that an apply may change, as text: both families' tables with
// counters, forwarding, and every file below the root.
func state(t testing.TB, host restore.Host) string {
	t.Helper()
	var b strings.Builder
	for _, f := range rules.Families() {
		b.WriteString(save(t, host.Variant, f, "-c"))
		b.WriteString(saveFilter(t, host.Variant, f))
	}
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		value, err := os.ReadFile("/proc/sys/" + name)
		must(t, err)
		fmt.Fprintf(&b, "%s = %s", name, value)
	}
	must(t, filepath.WalkDir(host.Root, func(path string, entry os.DirEntry, err error) error {
		if inside := strings.Contains(path, "/generations/"); err == nil && inside && entry.IsDir() {
			fmt.Fprintf(&b, "%s/\n", strings.TrimPrefix(path, host.Root))
		}
		// What was seen of the kernel says nothing but how to find that out faster, a copy
		// of what is to be replaced nothing but what the kernel held, and the number of the
		// last trial nothing but which one comes next.
		if err != nil || entry.IsDir() || entry.Name() == "lock" || entry.Name() == "loaded" || entry.Name() == "last-tried" || strings.HasPrefix(entry.Name(), "replaced.") {
			return err
		}
		content, err := os.ReadFile(path)
		if entry.Type()&os.ModeSymlink != 0 {
			var target string
			target, err = os.Readlink(path)
			content = []byte(target)
		}
		fmt.Fprintf(&b, "%s: %q\n", strings.TrimPrefix(path, host.Root), content)
		return err
	}))
	return b.String()
}

// wantState compares the state with an earlier one.
func wantState(t testing.TB, host restore.Host, before string) {
	t.Helper()
	wantSame(t, "the state", before, state(t, host))
}

// wantUnchanged asks for an error of a class that promises that all is as it was,
// and holds it to that.
func wantUnchanged(t testing.TB, host restore.Host, before string, err, class error) {
	t.Helper()
	wantClass(t, err, class)
	if err != nil && !strings.HasSuffix(err.Error(), "; nothing was changed") {
		t.Errorf("the error does not say that nothing was changed: %v", err)
	}
	wantState(t, host, before)
}

// wantClass asks for an error of a class, or with nil of none of them.
func wantClass(t testing.TB, err, class error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
	}
	for _, known := range []error{program.ErrMissing, program.ErrBusy, program.ErrNoRights} {
		if errors.Is(err, known) != (known == class) {
			t.Errorf("is %q: %v, in %v", known, errors.Is(err, known), err)
		}
	}
}

// wantLoaded asks that the live tables hold just what a config wants.
func wantLoaded(t testing.TB, variant rules.Variant, toml string) {
	t.Helper()
	for _, table := range tables(t, toml).All() {
		text := save(t, variant, table.Family)
		if table.Name == rules.Filter {
			text = saveFilter(t, variant, table.Family)
		}
		saved, err := rules.ParseSaved(table.Name, []byte(text))
		must(t, err)
		wantSame(t, table.String(), string(table.Text()), string(saved.OwnText()))
	}
}

// forward returns the values of both forwarding switches.
func forward(t testing.TB) string {
	t.Helper()
	four, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	must(t, err)
	six, err := os.ReadFile("/proc/sys/net/ipv6/conf/all/forwarding")
	must(t, err)
	return strings.TrimSpace(string(four)) + strings.TrimSpace(string(six))
}

// itoa is strconv.Itoa for what the kernel counts.
func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
