package main

import (
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// update rewrites the files that the scripts compare with.
var update = flag.Bool("update", false, "rewrite the wanted files in testdata/scripts")

// Scripts that need no kernel, and those that each get namespaces of their own,
// once for every variant of iptables.
const (
	scriptDir       = "../../testdata/scripts"
	kernelScriptDir = scriptDir + "/kernel"
)

// commonFlagsName is the environment variable whose words the scripts' natspread
// takes for the first of its arguments, so that "natspread apply" in a script works
// below the script's own root, with the variant that it runs for.
const commonFlagsName = "FLAGS"

// TestMain lets scripts and tests run natspread as a program of its own, and as
// nobody.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)                                   // what natspread trusts must not depend on the tester's own
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // below nohup, too, what is started here may be hung up
	// Some tests only wait, half a minute even, and shall not keep others from it.
	if err := flag.Set("test.parallel", strconv.Itoa(2+runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"natspread": natspread, "nobody": nobody})
}

// natspread is the program.
func natspread() {
	os.Args = append(append(os.Args[:1:1], strings.Fields(os.Getenv(commonFlagsName))...), os.Args[1:]...)
	main()
}

// nobody is the program without any rights: as another user where this process may
// change its user, and without capabilities in any case. Rights are taken from one
// thread, and exec makes that one the process.
func nobody() {
	runtime.LockOSThread()
	const id = 65534
	for capability := range uintptr(64) {
		// Refused where there is nothing to drop.
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
	}
	for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
		// Refused to an ordinary user, and where only one user is mapped.
		_, _, _ = unix.RawSyscall(call[0], call[1], call[2], call[3])
	}
	panic(syscall.Exec("/proc/self/exe", append([]string{"natspread"}, os.Args[1:]...), os.Environ()))
}

// TestScripts runs the scripts that need no kernel.
func TestScripts(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	if err := os.Chmod(filepath.Dir(work), 0o755); err != nil { // nobody works there, too
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                scriptDir,
		Cmds:               scriptCommands(),
		WorkdirRoot:        work,
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			return os.Chmod(env.WorkDir, 0o777)
		},
	})
}

// TestKernelScripts runs the scripts that load rules: each in namespaces of its
// own, with the variants of VariantsFor, every file below $WORK/root.
func TestKernelScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob(kernelScriptDir + "/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts in %s: %v", kernelScriptDir, err)
	}
	name := func(script string) string { return strings.TrimSuffix(filepath.Base(script), ".txtar") }
	variants := map[string][]string{} // of each script, before one of them hides the programs of iptables
	for _, script := range scripts {
		variants[script] = netnstest.VariantsFor(t, name(script))
	}
	for _, script := range scripts {
		for _, variant := range variants[script] {
			t.Run(name(script)+"/"+variant, func(t *testing.T) {
				if isolate(t) {
					runKernelScript(t, script, variant)
				}
			})
		}
	}
}

// hostRoutes let a host have the address that services listen on, and reach their backends:
// what a config asks for that a host does not bear out is noted.
const hostRoutes = `link set lo up
address add 192.0.2.10/32 dev lo
address add 2001:db8::10/128 dev lo nodad
route add 10.0.0.0/8 dev lo
route add fd00::/8 dev lo
`

// isolate is netnstest.Isolate, with hostRoutes in the namespaces that the test gets.
func isolate(t *testing.T) bool {
	t.Helper()
	if !netnstest.Isolate(t) {
		return false
	}
	giveRoutes(t)
	return true
}

// giveRoutes gives the host that a test got hostRoutes.
func giveRoutes(t *testing.T) {
	t.Helper()
	netnstest.Self().Command(t, hostRoutes, "ip", "-batch", "-")
}

// scriptRoutes let the host of a script have all addresses that services listen on.
const scriptRoutes = `route add local 192.0.2.0/24 dev lo
route add local 2001:db8::/64 dev lo
`

// runKernelScript runs one script in the namespaces that this process is in.
func runKernelScript(t *testing.T, script, variant string) {
	netnstest.Self().Command(t, scriptRoutes, "ip", "-batch", "-")
	testscript.Run(t, testscript.Params{
		Files:              []string{script},
		Cmds:               scriptCommands(),
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "root")
			for _, family := range []string{"ip", "ip6"} {
				env.Setenv(strings.ToUpper(family)+"TABLES", family+"tables-"+variant)
			}
			env.Setenv("VARIANT", variant)
			env.Setenv("OTHER", string(rules.Variant(variant).Other()))
			env.Setenv("XTABLES_LOCKFILE", os.Getenv("XTABLES_LOCKFILE"))
			env.Setenv(commonFlagsName, "--root "+root+" --live --variant "+variant)
			return os.MkdirAll(root, 0o755)
		},
	})
}

// natspreadCommand returns a command of the test's own copy of natspread, or of nobody.
func natspreadCommand(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Args[0] = name
	return cmd
}
