package units

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
)

// Text returns natspread.service for the program at the given absolute path.
func Text(program string) ([]byte, error) {
	command, err := execPath(program)
	if err != nil {
		return nil, err
	}
	var options []*unit.UnitOption
	for _, lines := range []struct {
		section string
		lines   []line
	}{{"Unit", ordering()}, {"Service", service(command)}, {"Install", install()}} {
		for _, line := range lines.lines {
			options = append(options, unit.NewUnitOption(lines.section, line.name, line.value))
		}
	}
	return serialize(options)
}

// line is one NAME=VALUE of a unit file.
type line struct{ name, value string }

// ordering places the unit: late enough that nothing flushes its rules, early enough that no packet comes first.
func ordering() []line {
	return []line{
		{"Description", "Layer-4 balancer: nat table and IP forwarding"},
		{"Documentation", "man:natspread(8)"},
		// The defaults would put us after sysinit.target, and cloud-init puts that after the network: a cycle.
		{"DefaultDependencies", "no"},
		// All local mounts, /var among them; RequiresMountsFor= would make a cycle where /var is on the network.
		{"After", "local-fs.target"},
		// sysctl.d would set ip_forward back, and iptables-legacy needs the modules that the host names.
		{"After", "systemd-modules-load.service systemd-sysctl.service"},
		// Each of these empties or replaces the nat table when it starts. All come before network-pre.target
		// themselves, so none closes a cycle; of the others that flush, shorewall comes after the network and would.
		{"After", "nftables.service netfilter-persistent.service iptables.service ip6tables.service"},
		{"After", "ufw.service firewalld.service"},
		{"Wants", "network-pre.target"},
		{"Before", "network-pre.target shutdown.target"},
		// Without the defaults nothing else stops the unit at shutdown; the order above stops it after the network.
		{"Conflicts", "shutdown.target"},
		// A restart of nftables empties our table while our unit stays active: restart, and stop, with it.
		{"PartOf", "nftables.service"},
		// A reload of these empties our table too; ours answers with restore.
		{"ReloadPropagatedFrom", "nftables.service netfilter-persistent.service iptables.service ip6tables.service firewalld.service"},
	}
}

// service says what runs, and in how small a room that nft and legacy iptables both still work in.
func service(command string) []line {
	return []line{
		{"Type", "oneshot"},
		{"RemainAfterExit", "yes"},
		{"ExecStart", command + " restore"},
		{"ExecReload", command + " restore"},
		{"ExecStop", command + " stop"},
		// A oneshot has no start time-out of its own, and the network waits for us.
		{"TimeoutStartSec", "90s"},
		// The sysctl values found before us are kept here until stop, through every restart in between.
		{"RuntimeDirectory", "natspread"},
		{"RuntimeDirectoryMode", "0700"},
		{"RuntimeDirectoryPreserve", "yes"},
		{"UMask", "0077"},
		// No capability set: legacy iptables runs modprobe, and a proof makes a network namespace.
		{"NoNewPrivileges", "yes"},
		// Leaves /run (lock files), /var/lib/natspread and /proc/sys writable; /proc/sys must be.
		{"ProtectSystem", "full"},
		// Read-only rather than hidden, so that a program kept in a home directory still starts.
		{"ProtectHome", "read-only"},
		// nft talks netlink, legacy raw sockets of both families, the journal AF_UNIX.
		{"RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK"},
		{"LockPersonality", "yes"},
		{"RestrictRealtime", "yes"},
		{"RestrictSUIDSGID", "yes"},
	}
}

// install names the units whose start brings ours along; see wantedBy.
func install() []line {
	return []line{{"WantedBy", strings.Join(wantedBy, " ")}}
}

// execPath writes a program for an Exec line. A ":" keeps systemd from replacing $VARIABLES, which in the
// program's own path it would do in one place and not in the other.
func execPath(program string) (string, error) {
	if !filepath.IsAbs(program) || filepath.Clean(program) != program || program == "/" {
		return "", fmt.Errorf("cannot write a unit for %q: the program must be an absolute path without ., .. or doubled slashes", program)
	}
	if !printable(program) || strings.ContainsAny(program, "\"'\\") {
		return "", fmt.Errorf("cannot write a unit for %q: systemd runs no program with quotes, backslashes, "+
			"control characters or bytes that are not UTF-8 in its path", program)
	}
	path := strings.ReplaceAll(program, "%", "%%")
	if strings.ContainsAny(path, " ;") {
		path = `"` + path + `"`
	}
	if strings.Contains(path, "$") {
		path = ":" + path
	}
	return path, nil
}

// serialize adds the check that go-systemd leaves to its callers: it escapes nothing, so that a newline in a
// value would begin a line of the value's own choosing, and a backslash at the end would swallow the next.
func serialize(options []*unit.UnitOption) ([]byte, error) {
	for _, option := range options {
		for _, text := range []string{option.Section, option.Name, option.Value} {
			if text == "" || !printable(text) || strings.HasSuffix(text, `\`) {
				return nil, fmt.Errorf("cannot write %s= in [%s]: %q does not fit on one line of a unit file",
					option.Name, option.Section, text)
			}
		}
	}
	text, err := io.ReadAll(unit.Serialize(options))
	if err != nil {
		return nil, fmt.Errorf("cannot write the unit: %w", err)
	}
	return text, nil
}

// printable reports whether systemd would take text as it stands: UTF-8 without control characters or the
// two characters that Unicode, too, calls the end of a line.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}
