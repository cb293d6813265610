package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// host is a machine: the network namespace of the calling thread, and files below a root.
type host struct {
	program string // natspread
	dir     string
	variant rules.Variant
	others  *game // which makes the hosts

	uncounted bool // nothing is known of its counters
}

// root returns where every file of the machine is below.
func (h host) root() string { return filepath.Join(h.dir, "root") }

// at returns a place below the root.
func (h host) at(path string) string { return filepath.Join(h.root(), path) }

// store returns the generations of the machine.
func (h host) store() generation.Store { return generation.Store{Root: h.root()} }

// command returns a run of natspread, which writes into a file what it says.
func (h host) command(args ...string) (*exec.Cmd, *os.File, error) {
	said, err := os.Create(filepath.Join(h.dir, "said"))
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(h.program, append([]string{"--root", h.root(), "--live", "--variant", string(h.variant)}, args...)...)
	// Each machine has a lock of iptables' own, as if it were alone.
	cmd.Env = append(os.Environ(), program.LockVariable+"="+filepath.Join(h.dir, "xtables.lock"))
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said, nil
}

// patience bounds one run of natspread that nobody traces.
const patience = 60 * time.Second

// natspread runs a verb to its end and returns its exit code and what it said.
func (h host) natspread(args ...string) (code int, said string, err error) {
	cmd, file, err := h.command(args...)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); cmd.ProcessState == nil {
		return 0, "", err
	}
	text, err := os.ReadFile(file.Name())
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(text)), err
}

// must runs a verb that ends with one of these codes.
func (h host) must(verb string, codes ...int) error {
	code, said, err := h.natspread(strings.Fields(verb)...)
	if err != nil {
		return err
	}
	if !slices.Contains(codes, code) {
		return fmt.Errorf("natspread %s ends with %d, not %v: %s", verb, code, codes, said)
	}
	return nil
}

// kernel is what the kernel of a machine holds: all tables, whoever's rules are in
// them, with counters, and the forwarding switches.
type kernel struct {
	tables     [rules.TableCount]string // as rules.Tables.All has them
	forwarding string                   // "10" is on for IPv4 only
}

// read reads it by the variant's own programs.
func (h host) read() (kernel, error) {
	var k kernel
	saved := map[rules.Family]string{}
	for _, f := range rules.Families() {
		out, err := h.tool(f, "save", nil, "-c")
		if err != nil {
			return k, err
		}
		saved[f] = out
	}
	for i, table := range rules.NoTables().All() {
		k.tables[i] = tableOf(saved[table.Family], table)
	}
	for _, file := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		value, err := os.ReadFile("/proc/sys/net/" + file)
		if err != nil {
			return k, err
		}
		k.forwarding += strings.TrimSpace(string(value))
	}
	if h.uncounted {
		k = k.uncounted()
	}
	return k, nil
}

// counters are those of a rule or of a policy.
var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// uncounted returns the same with all counters at 0.
func (k kernel) uncounted() kernel {
	for i, table := range k.tables {
		k.tables[i] = counters.ReplaceAllString(table, "[0:0]")
	}
	return k
}

// tableOf returns the text of one table of all that iptables-save printed. One that is not
// there is an empty one.
func tableOf(saved string, table rules.Table) string {
	begin := "*" + table.Name.String() + "\n"
	_, text, found := strings.Cut(saved, begin)
	if found {
		text, _, _ = strings.Cut(text, "COMMIT\n")
		return begin + text
	}
	for _, name := range table.Name.BuiltIn() {
		begin += ":" + name + " ACCEPT [0:0]\n"
	}
	return begin
}

// tool runs a program of the variant: save or restore.
func (h host) tool(f rules.Family, what string, stdin []byte, args ...string) (string, error) {
	cmd := exec.Command(rules.Program(f, h.variant, what), args...)
	cmd.Env = append(os.Environ(), program.LockVariable+"="+filepath.Join(h.dir, "xtables.lock"))
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%v: %w: %s", cmd.Args, err, stderr.String())
	}
	return stdout.String(), nil
}

// timers returns the processes of the machine that wait to revert a trial.
func (h host) timers() ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var timers []int
	for _, name := range names {
		line, _ := os.ReadFile(name) // empty for one that has ended
		if bytes.Contains(line, []byte(h.root()+"\x00rollback\x00--overdue")) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				return nil, err
			}
			timers = append(timers, pid)
		}
	}
	return timers, nil
}

// endTimers kills them.
func (h host) endTimers() error {
	timers, err := h.timers()
	for _, pid := range timers {
		if failed := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(failed, syscall.ESRCH) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// isPending tells whether a generation waits to be confirmed.
func (h host) isPending() (bool, error) {
	_, err := h.store().Pending()
	if errors.Is(err, generation.ErrNothingPending) {
		return false, nil
	}
	return err == nil, err
}

// config returns the files of the config of the machine, and what else an edit has to keep of them.
func (h host) config() (texts [2]string, modes string, err error) {
	for i, file := range configs() {
		content, err := os.ReadFile(h.at(file))
		if err != nil {
			return texts, "", err
		}
		info, err := os.Lstat(h.at(file))
		if err != nil {
			return texts, "", err
		}
		owner := info.Sys().(*syscall.Stat_t)
		texts[i] = string(content)
		modes += fmt.Sprintf("%v %d:%d ", info.Mode(), owner.Uid, owner.Gid)
	}
	return texts, modes, nil
}
