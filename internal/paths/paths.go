// Package paths names every file that natspread owns on a host, and its systemd units, so
// that each name has one home. All files are relative to the
// root directory.
package paths

import "strings"

// The files, below the root directory.
const (
	Config      = "etc/natspread/natspread.toml"               // the administrator's
	State       = "var/lib/natspread"                          // what boot loads
	Generations = State + "/generations"                       // a directory for each generation
	Current     = State + "/current"                           // the link to the generation that boot loads
	Run         = "run/natspread"                              // what a reboot forgets
	Schema      = "share/natspread/natspread.toml.schema.json" // what editors know a config by; below the prefix of the installation
	Factory     = "usr/share/factory"                          // State is below it where /var begins empty at each boot: tmpfiles.d(5)

	Overlay      = Run + "/overlay"     // the record of what the kernel holds in place of a generation's tables
	HealthRecord = Run + "/health.json" // what the watcher knows of the backends
	HealthLock   = Run + "/health.lock" // whose lock the watcher holds as long as it lives
)

// The units.
const (
	Unit       = "natspread.service"        // loads the current generation at boot
	HealthUnit = "natspread-health.service" // checks backends, and takes those that are down out of the loaded rules

	MetricsUnit  = "natspread-metrics.service" // writes metrics once
	MetricsTimer = "natspread-metrics.timer"   // has MetricsUnit do so every minute
)

// InHome tells whether a path, without symlinks, is in a home directory, as ProtectHome= of systemd understands it.
func InHome(path string) bool {
	for _, dir := range []string{"/home/", "/root/", "/run/user/"} {
		if strings.HasPrefix(path+"/", dir) {
			return true
		}
	}
	return false
}
