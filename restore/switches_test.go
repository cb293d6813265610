package restore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// switchHost is a host with the interfaces east and west, on which switches are turned.
type switchHost struct {
	name    string
	sysctls []string  // what is set there; all else is as a new host has it
	opened  [2]string // the interfaces that apply names, by family
}

// switchHosts returns hosts on which the switches are found in different ways.
func switchHosts() []switchHost {
	return []switchHost{
		{"nothing forwards", nil, [2]string{"east and west", "east and west"}},
		{"new interfaces forward", []string{"ipv4/conf/default/forwarding=1", "ipv6/conf/default/forwarding=1"}, [2]string{"east and west", "east and west"}},
		{"redirects are refused", []string{"ipv4/conf/all/accept_redirects=0"}, [2]string{"east and west", "east and west"}},
		{"one interface forwards", []string{"ipv4/conf/west/forwarding=1", "ipv6/conf/west/forwarding=1", "ipv4/conf/all/accept_redirects=0"}, [2]string{"east", "east and west"}},
		{"IPv4 forwards", []string{"ipv4/ip_forward=1", "ipv4/conf/west/forwarding=0", "ipv4/conf/all/accept_redirects=1"}, [2]string{"", "east and west"}},
	}
}

// eachFound runs a test with each variant on each host.
func eachFound(t *testing.T, test func(t *testing.T, host restore.Host, opened []string)) {
	t.Helper()
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		netnstest.Self().Command(t, "", "ip", "link", "add", "east", "type", "veth", "peer", "name", "west")
		for _, c := range switchHosts() {
			t.Run(c.name, func(t *testing.T) {
				hosttest.Boot(t, variant)
				setSwitches(t, "ipv4/ip_forward=1", "ipv4/ip_forward=0", "ipv6/conf/all/forwarding=0", "ipv4/conf/all/accept_redirects=1")
				setSwitches(t, c.sysctls...)
				var opened []string
				for i, links := range c.opened {
					if links != "" {
						opened = append(opened, fmt.Sprintf("%v: this host forwards packets for everybody from now on, by %s, unless FORWARD drops them; fix: %s", rules.Family(i), links, rules.CloseForward(rules.Family(i))))
					}
				}
				test(t, newHost(t, variant), opened)
			})
		}
	})
}

// setSwitches sets sysctls below /proc/sys/net.
func setSwitches(t *testing.T, settings ...string) {
	t.Helper()
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		hosttest.Must(t, os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0))
	}
}

// switches returns the switches of both families, and those that the kernel sets with them.
func switches(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("/proc/sys/net/ipv[46]/conf/*/forwarding")
	hosttest.Must(t, err)
	var b strings.Builder
	for _, file := range append(files, "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/accept_redirects") {
		value, err := os.ReadFile(file)
		hosttest.Must(t, err)
		fmt.Fprintf(&b, "%s=%s", strings.TrimPrefix(file, "/proc/sys/net/"), value)
	}
	return b.String()
}

// onlyIPv6 returns those of switches that are IPv6's.
func onlyIPv6(switches string) string {
	lines := slices.DeleteFunc(strings.Split(switches, "\n"), func(line string) bool { return !strings.HasPrefix(line, "ipv6/") })
	return strings.Join(lines, "\n")
}

// wantSwitches compares the switches with earlier ones.
func wantSwitches(t *testing.T, before string) {
	t.Helper()
	hosttest.WantSame(t, "a switch", before, switches(t))
}

// wantNothingKept asks that no record of switches is left.
func wantNothingKept(t *testing.T, host restore.Host) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(host.Root, paths.Run, "net.*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// wantOpened asks for just these sentences among the notes of a result.
func wantOpened(t *testing.T, result restore.Result, want []string) {
	t.Helper()
	noted := slices.DeleteFunc(slices.Clone(result.Notes), func(note string) bool { return !strings.Contains(note, "forwards packets") })
	if !slices.Equal(noted, want) || !slices.Equal(result.Opened, want) {
		t.Errorf("notes %q, opened %q, want %q", result.Notes, result.Opened, want)
	}
}

// TestSwitchesAfterStop finds all switches as they were before natspread, and those that
// somebody set since as they are. What is opened is said once, by the apply.
func TestSwitchesAfterStop(t *testing.T) {
	eachFound(t, func(t *testing.T, host restore.Host, opened []string) {
		before := switches(t)
		wantOpened(t, apply(t, host, hosttest.Article), opened)
		if hosttest.Forwarding(t) != "11" {
			t.Error("nothing is forwarded")
		}
		wantOpened(t, apply(t, host, hosttest.Smaller), nil)
		stop(t, host)
		wantSwitches(t, before)
		wantNothingKept(t, host)

		result, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		wantOpened(t, result, nil) // a boot does what apply has said
		netnstest.Self().Command(t, "", "ip", "link", "add", "later", "type", "bridge")
		setSwitches(t, "ipv4/conf/east/forwarding=0", "ipv6/conf/east/forwarding=0")
		wantOpened(t, apply(t, host, hosttest.Article), nil)
		stop(t, host)
		for _, family := range []string{"ipv4", "ipv6"} { // as the interface would have begun without natspread
			hosttest.WantSame(t, family, valueOf(t, family+"/conf/default/forwarding"), valueOf(t, family+"/conf/later/forwarding"))
		}
		netnstest.Self().Command(t, "", "ip", "link", "del", "later")
		before = strings.ReplaceAll(before, "ipv4/conf/east/forwarding=1", "ipv4/conf/east/forwarding=0")
		wantSwitches(t, before)
	})
}

// valueOf returns the value of a sysctl below /proc/sys/net.
func valueOf(t *testing.T, name string) string {
	t.Helper()
	value, err := os.ReadFile(filepath.Join("/proc/sys/net", name))
	hosttest.Must(t, err)
	return string(value)
}

// stop takes the rules out, and fails the test when that does.
func stop(t *testing.T, host restore.Host) {
	t.Helper()
	_, err := host.Stop(t.Context())
	hosttest.Must(t, err)
}

// TestSwitchesAfterTrial reverts a trial by hand and when its time is over: on a host where
// nothing was loaded, and on one where the trial takes out a family. Somebody has set
// switches meanwhile.
func TestSwitchesAfterTrial(t *testing.T) {
	eachFound(t, func(t *testing.T, host restore.Host, opened []string) {
		before := switches(t)
		for _, revert := range []func(ctx context.Context) (restore.Result, error){host.Revert, host.RevertOverdue} {
			trial := (&revertTimer{}).trial()
			trial.For = time.Nanosecond
			result, err := host.Try(t.Context(), request(t, hosttest.Article), trial)
			hosttest.Must(t, err)
			wantOpened(t, result, opened)
			_, err = revert(t.Context())
			hosttest.Must(t, err)
			wantSwitches(t, before)
			wantNothingKept(t, host)
		}
		apply(t, host, hosttest.Article)
		setSwitches(t, "ipv4/conf/east/forwarding=0", "ipv6/conf/east/forwarding=0")
		applied := switches(t)
		wantOpened(t, try(t, host, hosttest.Alone), nil)
		hosttest.WantSame(t, "IPv6 in a trial without it", onlyIPv6(before), onlyIPv6(switches(t)))
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		wantSwitches(t, applied)
		stop(t, host)
		wantSwitches(t, strings.ReplaceAll(before, "ipv4/conf/east/forwarding=1", "ipv4/conf/east/forwarding=0"))
	})
}

// TestSwitchesAfterFailure has an apply fail when IPv4's switches are turned and IPv6's
// cannot be.
func TestSwitchesAfterFailure(t *testing.T) {
	eachFound(t, func(t *testing.T, host restore.Host, _ []string) {
		before, kernel := switches(t), state(t, host)
		const six = "/proc/sys/net/ipv6"
		hosttest.Must(t, unix.Mount(six, six, "", unix.MS_BIND|unix.MS_REC, ""))
		hosttest.Must(t, unix.Mount("", six, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		_, err := host.Apply(t.Context(), request(t, hosttest.Article))
		hosttest.Must(t, unix.Unmount(six, unix.MNT_DETACH))
		if err == nil || !strings.Contains(err.Error(), "cannot set net.ipv6.conf.all.forwarding to 1: ") {
			t.Errorf("%v", err)
		}
		wantSwitches(t, before)
		wantNothingKept(t, host)
		wantState(t, host, kernel)
	})
}

// TestSwitchesOfAnotherNamespace shares a root directory with another network namespace,
// whose stop puts nothing back, here or there.
func TestSwitchesOfAnotherNamespace(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		before := switches(t)
		apply(t, host, hosttest.Article)
		applied := switches(t)
		netnstest.NewHost(t, "other").Do(t, func() {
			setSwitches(t, "ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1")
			there := switches(t)
			stop(t, host)
			wantSwitches(t, there)
		})
		wantSwitches(t, applied)
		stop(t, host)
		wantSwitches(t, before)
		wantNothingKept(t, host)
	})
}
