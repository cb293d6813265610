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

// collectorDir is where Debian's node_exporter looks for metrics, and metricsFile what natspread writes there.
const (
	collectorDir = "/var/lib/prometheus/node-exporter"
	metricsFile  = collectorDir + "/natspread.prom"
)

// metricsWantedBy is the unit whose start brings the timer of the metrics along.
const metricsWantedBy = "timers.target"

// intoFile is the flag that names the file of the metrics.
const intoFile = " --prometheus "

// MetricsText returns natspread-metrics.service for the program at the given absolute path: it writes metrics once,
// where no watcher does.
func MetricsText(program string) ([]byte, error) {
	command, err := execPath(program)
	if err != nil {
		return nil, err
	}
	return serialize([]section{
		{"Unit", []line{
			{"Description", "Layer-4 balancer: metrics for node_exporter"},
			{"Documentation", "man:natspread(8)"},
			{"After", paths.Unit},
			// Without that directory each start fails, and says so.
			{asserted, collectorDir},
		}},
		{"Service", append([]line{
			{"Type", "oneshot"},
			{"ExecStart", command + " status" + intoFile + metricsFile},
			// Drift and rules that are not loaded stand in the file, and are no failure of writing it.
			{"SuccessExitStatus", "1 3"},
			{"TimeoutStartSec", "50s"},
		}, lateSandbox(home(program))...)},
	})
}

// MetricsTimerText returns natspread-metrics.timer. It is the same for every program.
func MetricsTimerText(string) ([]byte, error) {
	return serialize([]section{
		{"Unit", []line{
			{"Description", "Layer-4 balancer: metrics for node_exporter every minute"},
			{"Documentation", "man:natspread(8)"},
		}},
		{"Timer", []line{
			{"OnActiveSec", "0"},
			{"OnUnitActiveSec", "1min"},
			// Else systemd may wait for another minute.
			{"AccuracySec", "1s"},
		}},
		{"Install", []line{{"WantedBy", metricsWantedBy}}},
	})
}

// lateSandbox is the sandbox of what starts when boot has mounted everything, talks to systemd, switches no
// forwarding, and writes metrics where Debian's node_exporter reads them.
func lateSandbox(home string) []line {
	lines := []line{
		// The unit of boot starts too early for the first; these do not.
		{"PrivateTmp", "yes"},
		{"PrivateDevices", "yes"},
	}
	for _, l := range sandbox(home) {
		switch l.name {
		case "RestrictAddressFamilies":
			l.value += " AF_UNIX"
		case "ReadWritePaths":
			l.value = "-" + lockFile + " -" + collectorDir
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

// prometheus returns the drop-in that makes a unit, which runs a command, write metrics into a file.
func prometheus(unit, command, file string) ([]byte, error) {
	if err := CheckMetricsFile(file); err != nil {
		return nil, err
	}
	service := section{"Service", []line{
		{withdrawn, ""},
		{withdrawn, strings.TrimSuffix(command, intoFile+metricsFile) + intoFile + file},
		// Where that directory is missing backends are checked all the same.
		{"ReadWritePaths", "-" + filepath.Dir(file)},
	}}
	if unit == paths.HealthUnit {
		return serialize([]section{service})
	}
	return serialize([]section{{"Unit", []line{{asserted, ""}, {asserted, filepath.Dir(file)}}}, service})
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
		if option.Section == "Service" && option.Name == withdrawn {
			command = option.Value
		}
	}
	if command == "" {
		return "", fmt.Errorf("cannot add --prometheus to %s: it has no ExecStart=", place)
	}
	return command, nil
}

// provideWith sees to it that there is a unit, whose path below root it returns, "" where it is masked; and that it
// writes metrics into a file, where one is named.
func (s shipped) provideWith(root, program, metrics string) (unit string, done []string, err error) {
	_, _, whose, err := s.lookAt(root)
	switch {
	case err != nil:
		return "", nil, err
	case whose == masked:
		return "", []string{left + s.unit + " alone, which is masked"}, nil
	}
	unit, done, err = s.provide(root, program)
	if err != nil || metrics == "" {
		return unit, done, err
	}
	command, err := startOf(root, unit)
	if err != nil {
		return unit, done, err
	}
	_, more, err := theMetrics(s.unit, command, metrics).provide(root, program)
	return unit, append(done, more...), err
}

// InstallMetrics has metrics written into a file every minute, now and from every boot on, where no watcher writes
// them. What was done is reported in order, also beside an error.
func InstallMetrics(ctx context.Context, manager Manager, root, program, file string) (done []string, err error) {
	timer, done, err := provideMetrics(root, program, file)
	if err != nil || timer == "" {
		return done, err
	}
	enabled, err := enable(ctx, manager, paths.MetricsTimer)
	done = append(done, enabled...)
	if err != nil {
		return done, err
	}
	if err := manager.Start(ctx, paths.MetricsTimer); err != nil {
		return done, err
	}
	done = append(done, started+paths.MetricsTimer)
	return done, manager.Start(ctx, paths.MetricsUnit) // of which the timer would tell nobody that it failed
}

// InstallMetricsOffline is InstallMetrics for the image at root, after InstallOffline.
func InstallMetricsOffline(root, program, file string) (done []string, err error) {
	timer, done, err := provideMetrics(root, program, file)
	if err != nil || timer == "" {
		return done, err
	}
	linked, err := link(root, timer, metricsWantedBy)
	return append(done, linked...), err
}

// provideMetrics sees to it that there is the unit that writes metrics into a file, and its timer, whose path below
// root it returns, "" where the unit is masked.
func provideMetrics(root, program, file string) (timer string, done []string, err error) {
	unit, done, err := theMetricsUnit().provideWith(root, program, file)
	if err != nil || unit == "" {
		return "", done, err
	}
	timer, more, err := theMetricsTimer().provide(root, program)
	return timer, append(done, more...), err
}
