package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// pattern is a config of both families; PORT, FORWARD and CLAMP are where the two configs differ,
// in every table.
const pattern = `# who edits it by hand keeps this line
[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:PORT", "10.0.0.2:PORT", "10.0.0.3:PORT"]
forward = "FORWARD"
clamp_mss = CLAMP

[[service]]
name = "web6"
listen = "[2001:db8::10]:80"
backends = ["[2001:db8:1::1]:PORT", "[2001:db8:1::2]:PORT"]
forward = "FORWARD"
clamp_mss = CLAMP
`

// before and after are the two configs.
func before() string {
	return strings.NewReplacer("PORT", "8080", "FORWARD", "accept", "CLAMP", "true").Replace(pattern)
}

// after is the other one.
func after() string {
	return strings.NewReplacer("PORT", "9090", "FORWARD", "leave", "CLAMP", "false").Replace(pattern)
}

// story is what comes before a kill, the verb that is killed, and what brings it to an end.
type story struct {
	name  string
	begin []func(h host) error // from a host with a config and with rules of others
	verb  string
	again func(h host, p point) error // after it the verb has done what it was to do
	ends  int                         // the exit code of status then
}

// The exit codes of natspread that a story knows.
const (
	done      = 0
	failed    = 1
	notLoaded = 3
)

// stories are all that are played.
func stories() []story {
	applied, pending := verbs("apply"), verbs("apply --confirm 1h")
	out := verbs("drain --runtime web 10.0.0.1:8080")
	return []story{
		{"first-apply", nil, "apply", repeated, done},
		{"apply", []func(host) error{applied, edited}, "apply", repeated, done},
		{"restore", []func(host) error{applied, rebooted}, "restore", repeated, done},
		{"rollback", []func(host) error{applied, edited, applied}, "rollback 1", repeated, done},
		{"rollback-config", []func(host) error{applied, edited, applied}, "rollback 1 --config-too", repeated, done},
		{"try", []func(host) error{applied, edited}, "apply --confirm 1h", tried, done},
		{"first-try", nil, "apply --confirm 1h", tried, done},
		{"confirm", []func(host) error{applied, edited, pending}, "confirm", whilePending, done},
		{"revert", []func(host) error{applied, edited, pending}, "rollback", whilePending, done},
		{"first-revert", []func(host) error{pending}, "rollback", whilePending, notLoaded},
		{"overdue", []func(host) error{applied, edited, pending, overdue}, "rollback --overdue", repeated, done},
		{"drain", []func(host) error{applied}, "drain web 10.0.0.1:8080", repeated, done},
		{"drain-second", []func(host) error{applied}, "drain web6 [2001:db8:1::1]:8080", repeated, done},
		{"undrain", []func(host) error{applied, verbs("drain web 10.0.0.1:8080")}, "undrain web 10.0.0.1:8080", repeated, done},
		{"drain-runtime", []func(host) error{applied}, "drain --runtime web 10.0.0.1:8080", repeated, done},
		{"undrain-runtime", []func(host) error{applied, out}, "undrain --runtime web 10.0.0.1:8080", repeated, done},
		{"restore-overlay", []func(host) error{applied, out}, "restore", repeated, done},
		{"apply-overlay", []func(host) error{applied, out, edited}, "apply", repeated, done},
		{"stop", []func(host) error{applied}, "stop", repeated, notLoaded},
	}
}

// verbs runs a verb that has to succeed.
func verbs(verb string) func(h host) error {
	return func(h host) error { return h.must(verb, done) }
}

// edited gives the machine the other config.
func edited(h host) error { return h.writeConfig(after()) }

// configs are the files of the config: the second service is in the second one.
func configs() [2]string {
	return [2]string{paths.Config, filepath.Join(filepath.Dir(paths.Config), configfiles.Dir, "web6.toml")}
}

// writeConfig writes the config of an administrator who is not root.
func (h host) writeConfig(text string) error {
	second := strings.LastIndex(text, "[[service]]")
	var err error
	for i, text := range []string{text[:second], text[second:]} {
		file := h.at(configs()[i])
		err = errors.Join(err, os.WriteFile(file, []byte(text), 0o640), os.Chmod(file, 0o640), os.Chown(file, 1234, 4321))
	}
	return err
}

// rebooted leaves what a reboot leaves: no rules, nothing forwarded, nothing in /run. The
// rules of others are loaded by somebody else again.
func rebooted(h host) error {
	return errors.Join(os.RemoveAll(h.at("run")), os.Mkdir(h.at("run"), 0o755), h.boot())
}

// overdue makes the time of the trial be over, and takes its timer away.
func overdue(h host) error {
	record := h.at(generation.PendingRecord)
	text, err := os.ReadFile(record)
	if err != nil {
		return err
	}
	over := regexp.MustCompile(`"until":\d+`).ReplaceAll(text, []byte(`"until":1`))
	if bytes.Equal(over, text) {
		return fmt.Errorf("there is no time in %s", text)
	}
	return errors.Join(h.endTimers(), os.WriteFile(record, over, 0o600))
}

// repeated runs the verb once more.
func repeated(h host, p point) error { return h.must(p.story.verb, done) }

// whilePending runs the verb once more where it has not come to its end, for which it needs
// a generation that waits.
func whilePending(h host, p point) error {
	if waits, err := h.isPending(); err != nil || !waits {
		return err
	}
	return repeated(h, p)
}

// tried ends the trial that was killed, and tries again. At every other point a trial that
// is loaded in whole is confirmed, and else it is reverted: then all is what it was.
func tried(h host, p point) error {
	waits, err := h.isPending()
	if err != nil {
		return err
	}
	if waits {
		now, err := h.read()
		if err != nil {
			return err
		}
		if now.tables == p.clean.new.tables && p.at.Nth%2 == 0 {
			return h.must("confirm", done)
		}
		if err := h.must("rollback", done); err != nil {
			return err
		}
	}
	now, err := h.read()
	if err == nil && now != p.clean.old {
		err = fmt.Errorf("after the trial the kernel is not what it was:\n%s", differences(p.clean.old, now))
	}
	return errors.Join(err, h.must(p.story.verb, done), h.must("confirm", done))
}

// foreign are rules of others in all tables of a family, with counters; NET is a network.
const foreign = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OTHERS - [0:0]
[3:180] -A PREROUTING -m addrtype --dst-type LOCAL -j OTHERS
[5:300] -A POSTROUTING -s NET -j MASQUERADE
[7:420] -A OTHERS -p tcp -m tcp --dport 8443 -j RETURN
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:THEIRS - [0:0]
[11:660] -A FORWARD -s NET -j THEIRS
[13:780] -A THEIRS -j ACCEPT
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
[17:1020] -A FORWARD -s NET -j MARK --set-xmark 0x1/0xffffffff
COMMIT
`

// boot makes the kernel what it is at boot, with the rules of others.
func (h host) boot() error {
	for f, net := range map[rules.Family]string{rules.IPv4: "172.17.0.0/16", rules.IPv6: "fd01::/64"} {
		if _, err := h.tool(f, "restore", []byte(strings.ReplaceAll(foreign, "NET", net)), "-c"); err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0),
		os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("0"), 0),
	)
}

// set makes the machine, and lets happen what comes before the kill.
func (h host) set(s story) (found kernel, err error) {
	err = errors.Join(
		os.MkdirAll(filepath.Dir(h.at(configs()[1])), 0o755),
		os.Mkdir(h.at("run"), 0o755),
		h.writeConfig(before()),
		h.boot(),
	)
	if err == nil {
		found, err = h.read()
	}
	for _, step := range s.begin {
		if err == nil {
			err = step(h)
		}
	}
	return found, err
}

// within waits until something is so.
func within(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
