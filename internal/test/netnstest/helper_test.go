package netnstest

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"natspread/internal/nethost"
)

const (
	// helperName names the behaviour that TestHelper shows; unset, it does nothing.
	helperName = "NETNSTEST_HELPER"

	// helperFile is where the "wait" behaviour tells its namespaces.
	helperFile = "NETNSTEST_HELPER_FILE"
)

// note is a flag of the test's own, as -update is elsewhere.
var note = flag.String("netnstest.note", "", "any text, logged by a helper")

// TestMain ends the child of one behaviour before it runs a test.
func TestMain(m *testing.M) {
	if os.Getenv(helperName) == "no test" && os.Getenv(markName) != "" {
		os.Exit(0)
	}
	if os.Getenv(helperName) == "bad end" && os.Getenv(markName) != "" {
		m.Run()
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// TestHelper is run by other tests, which look at its exit code and output.
func TestHelper(t *testing.T) {
	behaviour := os.Getenv(helperName)
	if behaviour == "" {
		return
	}
	if behaviour == "variants" {
		t.Log("installed:", Variants(t))
		return
	}
	if behaviour == "host outside" {
		NewHost(t, "a")
	}
	if behaviour == "subtests" {
		for _, name := range []string{"a b/c", "a b/cd"} {
			t.Run(name, func(t *testing.T) {
				if Isolate(t) {
					t.Log("inside", t.Name())
				}
			})
		}
		return
	}
	if behaviour == "as root in use" {
		if err := nethost.Settle(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.HasPrefix(behaviour, "as root") {
		IsolateAsRoot(t)
		return
	}
	if Isolate(t) {
		behave(t, behaviour)
	}
}

// behave is the child's part of TestHelper.
func behave(t *testing.T, behaviour string) {
	switch behaviour {
	case "pass":
		namespace, err := os.Readlink("/proc/self/ns/net")
		t.Log("inside", namespace, err, *note, os.Args[1:])
	case "subtest skips":
		t.Run("inner", func(t *testing.T) { t.Skip("inner reason") })
	case "fail":
		t.Error("deliberate failure")
	case "panic":
		panic("deliberate panic")
	case "skip":
		t.Skip("deliberate skip")
	case "exit 0":
		os.Exit(0)
	case "hang":
		hang()
	case "twice":
		Isolate(t)
	case "fail in host":
		NewHost(t, "a").Do(t, func() { t.Fatal("deliberate failure") })
		t.Log("not reached")
	case "skip in host":
		NewHost(t, "a").Do(t, func() { t.Skip("deliberate skip") })
		t.Error("not reached")
	case "bad load":
		load := NewLoad(t)
		defer time.AfterFunc(10*time.Second, load.stop).Stop()
		load.Keep(Converse(t, Self(), "tcp", Serve(t, Self(), "tcp", "127.0.0.1:0")), "nobody")
		load.Connect(Self(), "127.0.0.1:1")
		load.wait.Wait()
		load.WantGood(t, 0)
		NewLoad(t).WantGood(t, 1)
	case "change tables":
		for _, variant := range Variants(t) {
			for _, family := range []int{4, 6} {
				Self().Command(t, "", Programs(variant, family).Iptables, "-t", "nat", "-N", "OTHER")
			}
		}
		Self().Command(t, "link add dummy9 type veth\n", "ip", "-batch", "-")
		Self().Sysctl(t, "net.ipv4.ip_forward", "1")
	case "wait":
		waitToBeKilled(t)
	}
}

// runHelper runs TestHelper in a process of its own, as `go test` would. A
// child's mark and the wish for failures don't reach it unless given.
func runHelper(t *testing.T, behaviour string, change func(*exec.Cmd)) (output string, code int) {
	t.Helper()
	cmd := helperCommand(behaviour)
	if change != nil {
		change(cmd)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// helperCommand is the process that runHelper runs.
func helperCommand(behaviour string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHelper$", "-test.v", "-test.paniconexit0")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, markName+"=") || strings.HasPrefix(e, Require+"=")
	})
	cmd.Env = append(cmd.Env, helperName+"="+behaviour)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
