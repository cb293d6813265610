package hosttest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// EachVariant runs a test once for each variant, in namespaces of its own.
func EachVariant(t *testing.T, test func(t *testing.T, variant rules.Variant)) {
	t.Helper()
	eachVariant(t, netnstest.Isolate, test)
}

// EachVariantAsRoot is EachVariant where nft can send a large table in one message.
func EachVariantAsRoot(t *testing.T, test func(t *testing.T, variant rules.Variant)) {
	t.Helper()
	eachVariant(t, netnstest.IsolateAsRoot, test)
}

// eachVariant runs a test once for each variant, where tests are not whole for one of them,
// in namespaces that isolate makes.
func eachVariant(t *testing.T, isolate func(*testing.T) bool, test func(t *testing.T, variant rules.Variant)) {
	t.Helper()
	if !netnstest.IsIsolated() { // all that follows is done by processes of their own
		t.Parallel()
	}
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				test(t, rules.Variant(variant))
			}
		})
	}
}

// Family returns the number by which netnstest knows a family.
func Family(f rules.Family) int {
	if f == rules.IPv6 {
		return 6
	}
	return 4
}

// Programs names the programs of a variant for a family.
func Programs(variant rules.Variant, f rules.Family) netnstest.Tools {
	return netnstest.Programs(string(variant), Family(f))
}

// comments are the lines of iptables-save that tell the time.
var comments = regexp.MustCompile(`(?m)^#.*\n`)

// Uncommented returns what iptables-save printed without the lines that tell the time.
func Uncommented(text string) string { return comments.ReplaceAllString(text, "") }

// Save returns what the variant's own iptables-save prints, without the comments.
func Save(t testing.TB, variant rules.Variant, f rules.Family, args ...string) string {
	t.Helper()
	return Uncommented(netnstest.Self().Command(t, "", Programs(variant, f).Save, args...))
}

// SaveNAT returns a family's nat table.
func SaveNAT(t testing.TB, variant rules.Variant, f rules.Family, args ...string) string {
	t.Helper()
	return Save(t, variant, f, append([]string{"-t", "nat"}, args...)...)
}

// EmptyFilter is a filter table in which nobody has anything.
const EmptyFilter = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"

// EmptyMangle is a mangle table in which nobody has anything.
const EmptyMangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"

// SaveTables returns a family's tables with counters, by their names. One that is not
// there is an empty one, and stays away: only to ask for it by its name makes it.
func SaveTables(t testing.TB, variant rules.Variant, f rules.Family) (tables [3]string) {
	t.Helper()
	all := Save(t, variant, f, "-c")
	tables = [3]string{rules.NAT: string(rules.Table{Family: f}.Text()), rules.Filter: EmptyFilter, rules.Mangle: EmptyMangle}
	for _, name := range []rules.TableName{rules.NAT, rules.Filter, rules.Mangle} {
		begin := "*" + name.String() + "\n"
		if _, text, found := strings.Cut(all, begin); found {
			text, _, _ = strings.Cut(text, "COMMIT\n")
			tables[name] = begin + text + "COMMIT\n"
		}
	}
	return tables
}

// SaveFilter returns a family's filter table with counters.
func SaveFilter(t testing.TB, variant rules.Variant, f rules.Family) string {
	t.Helper()
	return SaveTables(t, variant, f)[rules.Filter]
}

// Everything returns all tables of both families, with counters.
func Everything(t testing.TB, variant rules.Variant) string {
	t.Helper()
	return Save(t, variant, rules.IPv4, "-c") + Save(t, variant, rules.IPv6, "-c")
}

// Put hands a text to the variant's own iptables-restore.
func Put(t testing.TB, variant rules.Variant, f rules.Family, text string, args ...string) {
	t.Helper()
	netnstest.Self().Command(t, text, Programs(variant, f).Restore, append(args, "-w", "5")...)
}

// IPTables runs a command line of iptables on the nat table.
func IPTables(t testing.TB, variant rules.Variant, f rules.Family, line string) {
	t.Helper()
	IPTablesOn(t, variant, f, rules.NAT, line)
}

// IPTablesOn runs a command line of iptables on a table.
func IPTablesOn(t testing.TB, variant rules.Variant, f rules.Family, table rules.TableName, line string) {
	t.Helper()
	args := append([]string{"-w", "5", "-t", table.String()}, strings.Fields(line)...)
	netnstest.Self().Command(t, "", Programs(variant, f).Iptables, args...)
}

// WantLoaded asks that the live tables hold just what a config wants.
func WantLoaded(t testing.TB, variant rules.Variant, toml string) {
	t.Helper()
	WantTables(t, variant, Tables(t, toml))
}

// WantTables asks that the live tables hold just these.
func WantTables(t testing.TB, variant rules.Variant, tables rules.Tables) {
	t.Helper()
	var live [2][3]string
	for _, f := range rules.Families() {
		live[f] = SaveTables(t, variant, f)
	}
	for _, table := range tables.All() {
		saved, err := rules.ParseSaved(table.Name, []byte(live[table.Family][table.Name]))
		Must(t, err)
		WantSame(t, table.String(), string(table.Text()), string(saved.OwnText()))
	}
}

// switches are the files of both forwarding switches.
var switches = [2]string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}

// Forwarding returns the values of both forwarding switches, IPv4 first: "10" is on for
// IPv4 only.
func Forwarding(t testing.TB) string {
	t.Helper()
	values := ""
	for _, file := range switches {
		value, err := os.ReadFile(file)
		Must(t, err)
		values += strings.TrimSpace(string(value))
	}
	return values
}

// SetForwarding sets both switches to the values that Forwarding returns.
func SetForwarding(t testing.TB, values string) {
	t.Helper()
	for i, file := range switches {
		Must(t, os.WriteFile(file, []byte(values[i:i+1]), 0))
	}
}

// Boot makes the kernel what it is at boot: without rules, and nothing forwarded.
func Boot(t testing.TB, variant rules.Variant) {
	t.Helper()
	for _, f := range rules.Families() {
		Put(t, variant, f, string(rules.Table{Family: f}.Text()))
	}
	SetForwarding(t, "00")
}
