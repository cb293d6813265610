package units

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
)

// healthWantedBy is the unit whose start brings the watcher along.
const healthWantedBy = paths.Unit

// healthVerb is what the program is told to check backends.
const healthVerb = "health"

// collectorDir is where Debian's node_exporter looks for metrics.
const collectorDir = "/var/lib/prometheus/node-exporter"

// HealthText returns natspread-health.service for the program at the given absolute path.
func HealthText(program string) ([]byte, error) {
	command, err := execPath(program)
	if err != nil {
		return nil, err
	}
	return serialize([]section{
		{"Unit", []line{
			{"Description", "Layer-4 balancer: health checks"},
			{"Documentation", "man:natspread(8)"},
			{"After", paths.Unit + " network-online.target"},
			{"Wants", "network-online.target"},
			// Without the rules there is nothing to change. Boot itself needs nothing of this unit.
			{"PartOf", paths.Unit},
			{"StartLimitIntervalSec", "0"},
		}},
		{"Service", watching(command, home(program))},
		{"Install", []line{{"WantedBy", healthWantedBy}}},
	})
}

// watching says how the watcher runs, and in how small a room. It changes rules as the unit at boot does, but also
// talks to backends and to systemd, and never switches forwarding.
func watching(command, home string) []line {
	lines := []line{
		{"Type", "notify"},
		{"ExecStart", command + " " + healthVerb},
		{"Restart", "always"},
		{"RestartSec", "1s"},
		// Wrong usage, no rights, no iptables, no config: another start mends none of these.
		{"RestartPreventExitStatus", "2 4 5 6"},
		{"LimitCORE", "0"},
		{"WatchdogSec", "30s"},
		{"TimeoutStopSec", "10s"},
		{"RuntimeDirectory", "natspread"},
		{"RuntimeDirectoryMode", "0700"},
		{"RuntimeDirectoryPreserve", "yes"},
		{"LimitNOFILE", "4096"},
		{"MemoryMax", "512M"},
		{"TasksMax", "64"},
		{"OOMScoreAdjust", "-500"},
		// The unit of boot starts too early for the first; this one does not.
		{"PrivateTmp", "yes"},
		{"PrivateDevices", "yes"},
	}
	for _, l := range sandbox(home) {
		switch l.name {
		case "RestrictAddressFamilies":
			l.value += " AF_UNIX"
		case "ReadWritePaths":
			l.value = "-" + lockFile + " -" + collectorDir
		case "IPAddressDeny":
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// CheckMetricsFile refuses a file that the watcher cannot write metrics into for node_exporter, or that a unit
// cannot name.
func CheckMetricsFile(file string) error {
	switch {
	case !filepath.IsAbs(file) || filepath.Clean(file) != file || filepath.Dir(file) == "/":
		return fmt.Errorf("%q must be an absolute path, in a directory and without ., .. or doubled slashes", file)
	case filepath.Ext(file) != ".prom":
		return fmt.Errorf("%q must end in .prom: node_exporter reads no other file", file)
	case !printable(file) || strings.ContainsAny(file, ` "'\\;$%`):
		return fmt.Errorf("%q must have no blanks, quotes, control characters, and none of \\ ; $ %%: systemd reads them otherwise", file)
	}
	return nil
}

// prometheus returns the drop-in that makes the watcher write metrics into a file, for the command that starts it.
func prometheus(command, file string) ([]byte, error) {
	if err := CheckMetricsFile(file); err != nil {
		return nil, err
	}
	return serialize([]section{{"Service", []line{
		withdrawn,
		{"ExecStart", command + " --prometheus " + file},
		// Where that directory is missing backends are checked all the same.
		{"ReadWritePaths", "-" + filepath.Dir(file)},
	}}})
}

// startOf returns what a unit below root runs: that of a package names the package's program, whoever installs.
func startOf(root, path string) (command string, err error) {
	place, err := atomicfile.Place(root, path)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(place)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", place, atomicfile.Cause(err))
	}
	options, err := unit.DeserializeOptions(bytes.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", place, err)
	}
	for _, option := range options {
		if option.Section == "Service" && option.Name == withdrawn.name {
			command = option.Value
		}
	}
	if command == "" {
		return "", fmt.Errorf("cannot add --prometheus to %s: it has no ExecStart=", place)
	}
	return command, nil
}

// InstallHealth has backends checked, now and from every boot on, by the unit that Install wrote or a package
// ships, and metrics written into a file, unless that is "". A watcher that runs already is started anew. A unit
// that is masked is left alone. What was done is reported in order, also beside an error.
func InstallHealth(ctx context.Context, manager Manager, root, program, metrics string) (done []string, err error) {
	unit, done, err := provideHealth(root, program, metrics)
	if err != nil || unit == "" {
		return done, err
	}
	enabled, err := enable(ctx, manager, paths.HealthUnit)
	done = append(done, enabled...)
	if err != nil {
		return done, err
	}
	if err := manager.Restart(ctx, paths.HealthUnit); err != nil {
		return done, err
	}
	return append(done, started+paths.HealthUnit), nil
}

// InstallHealthOffline is InstallHealth for the image at root, after InstallOffline.
func InstallHealthOffline(root, program, metrics string) (done []string, err error) {
	unit, done, err := provideHealth(root, program, metrics)
	if err != nil || unit == "" {
		return done, err
	}
	linked, err := link(root, unit, healthWantedBy)
	return append(done, linked...), err
}

// provideHealth sees to it that there is the unit of the watcher, whose path below root it returns, "" where it is
// masked; and that the watcher writes metrics into a file, where one is named.
func provideHealth(root, program, metrics string) (unit string, done []string, err error) {
	_, _, whose, err := theHealthUnit().lookAt(root)
	switch {
	case err != nil:
		return "", nil, err
	case whose == masked:
		return "", []string{left + paths.HealthUnit + " alone, which is masked"}, nil
	}
	unit, done, err = theHealthUnit().provide(root, program)
	if err != nil || metrics == "" {
		return unit, done, err
	}
	command, err := startOf(root, unit)
	if err != nil {
		return unit, done, err
	}
	_, more, err := theMetrics(command, metrics).provide(root, program)
	return unit, append(done, more...), err
}
