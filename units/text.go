package units

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"

	"natspread/internal/paths"
)

// Text returns natspread.service for the program at the given absolute path.
func Text(program string) ([]byte, error) {
	command, err := execPath(program)
	if err != nil {
		return nil, err
	}
	return serialize([]section{{"Unit", ordering()}, {"Service", service(command, home(program))}, {"Install", install()}})
}

// section is a part of a unit file.
type section struct {
	name  string
	lines []line
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
		// All local mounts, /var among them; RequiresMountsFor=, which PrivateTmp= brings along, would make a
		// cycle where /var is on the network.
		{"After", "local-fs.target"},
		// sysctl.d would set ip_forward back, and iptables-legacy needs the modules that the host names.
		{"After", "systemd-modules-load.service systemd-sysctl.service"},
		// PrivateDevices= makes a directory in /tmp before systemd 255, and this empties /tmp at the same time. It
		// comes before sysinit.target and after no network: no cycle.
		{"After", "systemd-tmpfiles-setup.service"},
		// The kernel loads by itself what nft needs and what a rule names, but iptables-legacy loads its two
		// modules with modprobe, which the sandbox forbids. Where there are none nothing happens.
		{"Wants", "modprobe@ip_tables.service modprobe@ip6_tables.service"},
		{"After", "modprobe@ip_tables.service modprobe@ip6_tables.service"},
		// Each of these empties or replaces the nat table when it starts. All come before network-pre.target
		// themselves, so none closes a cycle; of the others that flush, shorewall comes after the network and would.
		{"After", "nftables.service netfilter-persistent.service iptables.service ip6tables.service"},
		{"After", "ufw.service firewalld.service"},
		{"Wants", "network-pre.target"},
		{"Before", "network-pre.target shutdown.target"},
		// Without the defaults nothing else stops the unit at shutdown; the order above stops it after the network.
		{"Conflicts", "shutdown.target"},
		// A reload of these empties our table; ours answers with restore. What nftables does is in DropIn.
		{"ReloadPropagatedFrom", "iptables.service ip6tables.service firewalld.service"},
	}
}

// At boot nobody is there to try again, so restore waits for locks as long as the unit may start, less what it
// takes for its own work, and to give up.
const (
	startTimeout = "90s"
	lockWait     = "75s"
)

// makeLock is a shell's line that makes the lock file of iptables where there is none: a sandbox in which /run is
// read-only lets legacy iptables open that file, but not make it.
const makeLock = ": >>" + lockFile

// lockFile is where every iptables takes its lock, unless a variable says otherwise.
const lockFile = "/run/xtables.lock"

// service says what runs, and in how small a room that nft and legacy iptables both still work in.
func service(command, home string) []line {
	load := command + " restore --wait " + lockWait
	return append([]line{
		{"Type", "oneshot"},
		{"RemainAfterExit", "yes"},
		// Outside of the sandbox (+). Where there is no shell (-) nft still works, and legacy if somebody else
		// has made the file.
		{"ExecStartPre", "-+/bin/sh -c '" + makeLock + "'"},
		{"ExecStart", load},
		{"ExecReload", load},
		{"ExecStop", command + " stop"},
		// A oneshot has no start time-out of its own, and the network waits for us.
		{"TimeoutStartSec", startTimeout},
		// The sysctl values found before us are kept here until stop, through every restart in between.
		{"RuntimeDirectory", "natspread"},
		{"RuntimeDirectoryMode", "0700"},
		{"RuntimeDirectoryPreserve", "yes"},
		// Before systemd 255 this needs a /tmp that can be written to, so it is not for what must start under all
		// conditions: the revert of a trial.
		{"PrivateDevices", "yes"},
	}, sandbox(home)...)
}

// home says what is seen of home directories: nothing, unless the program itself is in one.
func home(program string) string {
	if paths.InHome(program) {
		return "read-only"
	}
	return "yes"
}

// sandbox is the small room for whatever loads rules and switches forwarding on, where of home directories is
// seen what home says. What can be read and written in it is measured at boot: the story sandbox of
// internal/lab/boot.
func sandbox(home string) []line {
	return []line{
		{"UMask", "0077"},
		// The first for all, the second for the raw socket of iptables-legacy. Without CAP_SYS_ADMIN no scratch
		// namespace can be made: rules that were never proven are proven by their load, read back. Without
		// CAP_DAC_OVERRIDE nothing that only another user may read can be read.
		{"CapabilityBoundingSet", "CAP_NET_ADMIN CAP_NET_RAW"},
		{"NoNewPrivileges", "yes"},
		// nft talks netlink, legacy raw sockets of both families. Without AF_UNIX no service can be asked for
		// anything, PID 1 included.
		{"RestrictAddressFamilies", "AF_NETLINK AF_INET AF_INET6"},
		{"IPAddressDeny", "any"},
		// What can be written is the directory that RuntimeDirectory= names, iptables' lock, and the switches of
		// forwarding. strict leaves out /dev, and /run beside a line that protects /proc (systemd 252).
		{"ProtectSystem", "strict"},
		{"ProtectKernelTunables", "yes"},
		{"ReadOnlyPaths", "/run /dev"},
		{"ReadWritePaths", "-" + lockFile + " /proc/sys/net"},
		{"ProtectHome", home},
		// What root alone may read, and natspread never reads. The kernel would let it: it is root's.
		{"InaccessiblePaths", "-/etc/shadow -/etc/shadow- -/etc/gshadow -/etc/gshadow- -/etc/security/opasswd"},
		{"InaccessiblePaths", "-/etc/ssh -/etc/ssl/private -/etc/letsencrypt -/etc/wireguard -/root/.ssh"},
		{"InaccessiblePaths", "-/run/credentials -/run/secrets -/var/backups -/dev/shm -/dev/mqueue"},
		{"ProtectProc", "invisible"},
		{"ProtectKernelModules", "yes"},
		{"ProtectKernelLogs", "yes"},
		{"ProtectControlGroups", "yes"},
		{"ProtectClock", "yes"},
		{"ProtectHostname", "yes"},
		{"PrivateMounts", "yes"},
		{"DevicePolicy", "closed"},
		{"RestrictNamespaces", "yes"},
		{"RestrictRealtime", "yes"},
		{"RestrictSUIDSGID", "yes"},
		{"LockPersonality", "yes"},
		{"MemoryDenyWriteExecute", "yes"},
		{"SystemCallArchitectures", "native"},
		{"SystemCallFilter", "@system-service"},
		{"SystemCallFilter", "~@privileged @resources"},
		// A call that is not foreseen fails, and does not kill the program in the middle of its work.
		{"SystemCallErrorNumber", "EPERM"},
		// Not to be added: PrivateNetwork, which succeeds in the wrong network; PrivateUsers, which may not
		// load rules; ProcSubset=pid, which hides /proc/sys; PrivateTmp, which brings RequiresMountsFor=/var/tmp.
	}
}

// install names the units whose start brings ours along; see wantedBy.
func install() []line {
	return []line{{"WantedBy", strings.Join(wantedBy, " ")}}
}

// execPath writes a program for an Exec line. A ":" keeps systemd from replacing $VARIABLES, which in the
// program's own path it would do in one place and not in the other.
func execPath(program string) (string, error) {
	path, err := execWord(program)
	if err == nil && strings.Contains(path, "$") {
		path = ":" + path
	}
	return path, err
}

// execWord writes a program as one word of an Exec line.
func execWord(program string) (string, error) {
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
	return path, nil
}

// serialize adds the check that go-systemd leaves to its callers: it escapes nothing, so that a newline in a
// value would begin a line of the value's own choosing, and a backslash at the end would swallow the next.
func serialize(sections []section) ([]byte, error) {
	var options []*unit.UnitOption
	for _, section := range sections {
		for _, line := range section.lines {
			for _, text := range []string{section.name, line.name, line.value} {
				if text == "" && line.name != withdrawn && line.name != asserted || !printable(text) || strings.HasSuffix(text, `\`) {
					return nil, fmt.Errorf("cannot write %s= in [%s]: %q does not fit on one line of a unit file",
						line.name, section.name, text)
				}
			}
			options = append(options, unit.NewUnitOption(section.name, line.name, line.value))
		}
	}
	text, err := io.ReadAll(unit.Serialize(options))
	if err != nil {
		return nil, fmt.Errorf("cannot write the unit: %w", err)
	}
	return text, nil
}

// withdrawn and asserted are the lines that are written without a value, too: a drop-in's that takes away what the
// unit runs, or which directory it needs.
const (
	withdrawn = "ExecStart"
	asserted  = "AssertPathIsDirectory"
)

// printable reports whether systemd would take text as it stands: UTF-8 without control characters or the
// two characters that Unicode, too, calls the end of a line.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}
