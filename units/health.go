package units

import (
	"context"
	"slices"

	"natspread/internal/paths"
)

// healthWantedBy is the unit whose start brings the watcher along.
const healthWantedBy = paths.Unit

// healthVerb is what the program is told to check backends.
const healthVerb = "health"

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
	return append([]line{
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
	}, slices.DeleteFunc(lateSandbox(home), func(l line) bool { return l.name == "IPAddressDeny" })...)
}

// InstallHealth has backends checked, now and from every boot on, by the unit that Install wrote or a package
// ships, and metrics written into a file, unless that is "". A watcher that runs already is started anew. A unit
// that is masked is left alone. What was done is reported in order, also beside an error.
func InstallHealth(ctx context.Context, manager Manager, root, program, metrics string) (done []string, err error) {
	unit, done, err := theHealthUnit().provideWith(root, program, metrics)
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
	unit, done, err := theHealthUnit().provideWith(root, program, metrics)
	if err != nil || unit == "" {
		return done, err
	}
	linked, err := link(root, unit, healthWantedBy)
	return append(done, linked...), err
}
