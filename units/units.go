// Package units exists so that systemd loads the balancer at every boot, live or in an image under a root;
// it must not know rules or the config.
package units

import (
	"path/filepath"

	"natspread/internal/paths"
)

// administratorDir is where systemd looks first, and so where only we and the administrator write.
const administratorDir = "/etc/systemd/system"

// packageDirs are where packages ship units, in systemd's order. The last is where Debian 12 and older put
// them; on a merged /usr it is the same directory as the one before.
var packageDirs = []string{"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// wantedBy are the units whose start brings ours along.
var wantedBy = []string{"multi-user.target"}

// administratorPath is the unit file as install writes it.
var administratorPath = filepath.Join(administratorDir, paths.Unit)
