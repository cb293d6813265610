package hostfiles

import "path"

// systemdDirs are the directories of systemd's files in order of precedence.
var systemdDirs = []string{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"}

// Below returns a path below each of systemd's directories.
func Below(name string) []string {
	var dirs []string
	for _, dir := range systemdDirs {
		dirs = append(dirs, path.Join(dir, name))
	}
	return dirs
}

// First returns the first of systemd's files of a name in the order of precedence.
func (r Root) First(name string) (file string, present bool) {
	for _, file := range Below(name) {
		if r.Exists(file) {
			return file, true
		}
	}
	return "", false
}

// UnitOptions returns the options of a unit's file and its drop-ins.
func (r Root) UnitOptions(name string) Options {
	file, _ := r.First("system/" + name)
	return r.WithDropIns(file, Below("system/"+name+".d"))
}

// Enabled tells whether boot starts a unit that is there.
func (r Root) Enabled(name string) bool {
	file, present := r.First("system/" + name)
	if !present || r.Masked(file) {
		return false
	}
	for _, dir := range Below("system") {
		if len(r.glob(path.Join(dir, "*.wants", name)))+len(r.glob(path.Join(dir, "*.requires", name))) > 0 {
			return true
		}
	}
	return false
}
