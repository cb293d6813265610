package suggest

import (
	"slices"
	"strings"
)

// Habit is what people type who know other programs, why natspread does not have it, and what
// to type instead.
type Habit struct {
	Typed string // one or more words, with spaces between them
	Why   string // "" where Instead says enough
	// Instead is to be typed as it stands, but for words in capitals: a command, or a flag with its
	// value. In a config it is the key that was meant, or the fix.
	Instead string
}

// Known returns the habit by which somebody typed a word.
func Known(habits []Habit, typed string) (Habit, bool) {
	at := slices.IndexFunc(habits, func(h Habit) bool { return slices.Contains(strings.Fields(h.Typed), typed) })
	if at < 0 {
		return Habit{}, false
	}
	return habits[at], true
}

// Habits returns those of the command line. What is nearest in letters to some of them does something
// else: restore is no restart.
func Habits() []Habit {
	return []Habit{
		{"start restart reload run up try-restart force-reload update upgrade sync load", "natspread has no process, as the kernel does the work", "natspread apply"},
		{"enable autostart", "", "natspread install"},
		{"disable", "", "natspread uninstall"},
		{"down flush clear unapply unload kill shutdown remove-all", "", "natspread stop"},
		{"list show ls ps info state services backends connections top", "", "natspread status"},
		{"watch monitor follow", "", "natspread status --watch"},
		{"metrics prometheus", "", "natspread status --prometheus -"},
		{"generations versions log changes", "", "natspread history"},
		{"logs journal", "", "journalctl -u natspread"},
		{"test validate verify lint configtest config-test checkconfig check-config syntax", "", "natspread check"},
		{"dry-run dryrun plan preview simulate", "", "natspread apply --dry-run"},
		{"generate print dump save rules compile", "", "natspread render"},
		{"trace explain route lookup", "", "natspread render --explain ADDRESS:PORT"},
		{"graph draw dot svg", "", "natspread render --svg"},
		{"undo revert cancel abort back unconfirm", "", "natspread rollback"},
		{"accept keep commit", "", "natspread confirm"},
		{"new create setup example sample", "", "natspread init"},
		{"add remove rm delete del set replace", "backends and services stand in the config: edit it", "natspread apply"},
		{"healthcheck probe", "", "natspread health --once"},
		{"diagnose debug troubleshoot why", "", "natspread doctor"},
		{"manual", "", "natspread man"},
		{"-V -version --version", "", "natspread version"},
		{"-? --usage", "", "--help"},
		{"-c -f -C --file --conf --cfg --configfile --config-file --conf-file --toml --from-file", "", "--config FILE"},
		{"-t --test --validate --check --configtest --lint", "", "natspread check"},
		{"-n --noop --no-op --simulate --dryrun --what-if --plan", "", "--dry-run"},
		{"-y --assume-yes --force --no-confirm --noconfirm --non-interactive --auto-approve", "", "--yes"},
		{"-d --debug -vv --trace --loglevel --log-level", "", "--verbose"},
		{"-s --silent", "", "--quiet"},
		{"-j --format --output", "", "--json"},
		{"--no-color --nocolor --no-colour --colour --monochrome", "", "--color never"},
		{"--ipv4 --v4 --inet", "", "-4"},
		{"--ipv6 --v6 --inet6", "", "-6"},
		{"--output-dir --out --outdir --directory", "", "-o DIR"},
		{"--chroot --prefix --sysroot --destdir --image", "", "--root DIR"},
		{"--backend-variant --iptables --legacy --nft", "", "--variant VARIANT"},
		{"--follow -w -F", "", "--watch"},
	}
}
