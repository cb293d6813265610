package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"natspread/internal/paths"
)

// Refused finds those files of a generation, and directories above them, that somebody
// else than root may change. Boot refuses to load such a file. The paths are below the
// root.
func (h Host) Refused(files []string) []Finding {
	seen := map[string]bool{}
	found := h.open(".", AtBoot, "boot will not load what is below", seen)
	for _, path := range files {
		found = append(found, h.open(path, AtBoot, "boot will not load it", seen)...)
	}
	return found
}

// modes looks whether somebody else than root may change the config, and so decide what is
// applied next.
func (e examination) modes() []Finding {
	var found []Finding
	seen := map[string]bool{}
	for _, path := range e.Config {
		found = append(found, e.open(path, Risk, "what it says is applied next", seen)...)
	}
	return found
}

// open returns a finding for each part of a path that not only root may change, without
// those that were seen before. In a sticky directory others cannot replace what is root's:
// it is no finding above the config, and above natspread's own directories, as for boot.
func (h Host) open(path string, severity Severity, so string, seen map[string]bool) []Finding {
	var found []Finding
	steps := strings.Split(strings.Trim(path, "/"), "/")
	for i := range steps {
		full := filepath.Join(h.Root, filepath.Join(steps[:i+1]...))
		if seen[full] {
			continue
		}
		seen[full] = true
		info, err := os.Lstat(full)
		if os.IsNotExist(err) {
			break
		}
		if err != nil {
			found = append(found, cannotTell("who may change "+full, err))
			break
		}
		if info.Mode()&os.ModeSymlink != 0 {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			found = append(found, Finding{Severity: severity, What: fmt.Sprintf("%s belongs to user %d: %s", full, stat.Uid, so), Fix: "chown root " + full})
		}
		above := severity == Risk || !slices.Contains(steps[:i+1], filepath.Base(paths.State))
		if sticky := above && info.IsDir() && info.Mode()&os.ModeSticky != 0; info.Mode().Perm()&0o022 != 0 && !sticky {
			found = append(found, Finding{Severity: severity, What: fmt.Sprintf("%s may be changed by its group or by others: %s", full, so), Fix: "chmod go-w " + full})
		}
	}
	return found
}
