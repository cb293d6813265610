package units

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"natspread/internal/paths"

	"github.com/coreos/go-systemd/v22/dbus"
	bus "github.com/godbus/dbus/v5"
)

// fakeSystemd answers on real D-Bus connections as systemd's own private socket does.
type fakeSystemd struct {
	mutex  sync.Mutex
	conns  []*bus.Conn
	result string     // of each job; "" is a job that never ends
	refuse *bus.Error // the answer to every call, if any
	called []string

	transient string // what was asked for of transient units

	properties map[string]bus.Variant // of natspread.service; nil is a unit that nobody knows
	unmet      bool                   // whether a condition of the unit is not met
}

// managerPath and managerName are where systemd's manager is found.
const (
	managerPath = "/org/freedesktop/systemd1"
	managerName = "org.freedesktop.systemd1.Manager"
)

// change is one entry of what EnableUnitFiles and DisableUnitFiles answer.
type change struct{ Type, File, Destination string }

// note records a call and refuses it if that is the scene.
func (f *fakeSystemd) note(format string, args ...any) *bus.Error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.called = append(f.called, fmt.Sprintf(format, args...))
	return f.refuse
}

// job answers a request for a job and signals its end on every connection, as systemd does on its socket.
func (f *fakeSystemd) job(verb, unit, mode string) (bus.ObjectPath, *bus.Error) {
	const path = bus.ObjectPath(managerPath + "/job/7")
	if err := f.note("%s %s %s", verb, unit, mode); err != nil {
		return "/", err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.properties != nil && f.result == "done" && !f.unmet {
		f.properties["ActiveState"] = bus.MakeVariant("active")
	}
	for _, conn := range f.conns {
		if f.result != "" {
			_ = conn.Emit(managerPath, managerName+".JobRemoved", uint32(7), path, unit, f.result)
		}
	}
	return path, nil
}

// methods are the calls of the manager that the fake knows.
func (f *fakeSystemd) methods() map[string]any {
	return map[string]any{
		"StartUnit":   func(unit, mode string) (bus.ObjectPath, *bus.Error) { return f.job("start", unit, mode) },
		"RestartUnit": func(unit, mode string) (bus.ObjectPath, *bus.Error) { return f.job("restart", unit, mode) },
		"StopUnit":    func(unit, mode string) (bus.ObjectPath, *bus.Error) { return f.job("stop", unit, mode) },
		"EnableUnitFiles": func(units []string, runtime, force bool) (bool, []change, *bus.Error) {
			err := f.note("enable %v %v %v", units, runtime, force)
			return f.result != "skipped", []change{{"symlink", "a", "b"}}, err
		},
		"DisableUnitFiles": func(units []string, runtime bool) ([]change, *bus.Error) {
			return []change{{"unlink", "a", ""}}, f.note("disable %v %v", units, runtime)
		},
		"StartTransientUnit": func(unit, mode string, own []dbus.Property, aux []dbus.PropertyCollection) (bus.ObjectPath, *bus.Error) {
			f.transient = asked(unit, own)
			for _, other := range aux {
				f.transient += asked(other.Name, other.Properties)
			}
			return f.job("start-transient", unit, mode)
		},
		"Reload":          func() *bus.Error { return f.note("reload") },
		"ResetFailedUnit": func(unit string) *bus.Error { return f.note("reset-failed %s", unit) },
	}
}

// unitMethods are the calls of natspread.service that the fake knows.
func (f *fakeSystemd) unitMethods() map[string]any {
	return map[string]any{
		"GetAll": func(string) (map[string]bus.Variant, *bus.Error) {
			if err := f.note("properties"); err != nil {
				return nil, err
			}
			f.mutex.Lock()
			defer f.mutex.Unlock()
			if f.properties == nil {
				return nil, bus.NewError(noSuchUnit, []any{"Unit natspread.service not loaded."})
			}
			return maps.Clone(f.properties), nil
		},
	}
}

// authenticate plays a D-Bus daemon's part of the plain-text handshake and returns what is read after it.
func authenticate(conn net.Conn) (*bufio.Reader, error) {
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		answer := "ERROR"
		switch word := strings.Fields(strings.Trim(line, "\x00\r\n")); {
		case word[0] == "BEGIN":
			return lines, nil
		case word[0] == "AUTH" && len(word) > 1:
			answer = "OK 0123456789abcdef0123456789abcdef"
		case word[0] == "AUTH":
			answer = "REJECTED EXTERNAL"
		}
		if _, err := fmt.Fprintf(conn, "%s\r\n", answer); err != nil {
			return nil, err
		}
	}
}

// splice lets a client talk to its far end: each believes to have a daemon before it.
func splice(client, far net.Conn) {
	var wait sync.WaitGroup
	readers := [2]*bufio.Reader{}
	for i, conn := range []net.Conn{client, far} {
		wait.Go(func() { readers[i], _ = authenticate(conn) })
	}
	wait.Wait()
	if readers[0] == nil || readers[1] == nil {
		_, _ = client.Close(), far.Close()
		return
	}
	go func() { _, _ = io.Copy(far, readers[0]); _ = far.Close() }()
	go func() { _, _ = io.Copy(client, readers[1]); _ = client.Close() }()
}

// dial gives one connection to the fake.
func (f *fakeSystemd) dial() (*bus.Conn, error) {
	near, client := net.Pipe()
	far, server := net.Pipe()
	go splice(client, server)
	serving := make(chan error, 1)
	go func() { serving <- f.export(far) }()
	conn, err := bus.NewConn(near)
	if err != nil {
		return nil, err
	}
	return conn, errors.Join(conn.Auth(nil), <-serving)
}

// export lets the manager's methods be called over conn.
func (f *fakeSystemd) export(conn net.Conn) error {
	far, err := bus.NewConn(conn)
	if err != nil {
		return err
	}
	unit := bus.ObjectPath(managerPath + "/unit/" + dbus.PathBusEscape(paths.Unit))
	err = errors.Join(
		far.ExportMethodTable(f.methods(), managerPath, managerName),
		far.ExportMethodTable(f.unitMethods(), unit, "org.freedesktop.DBus.Properties"),
	)
	if err != nil {
		return err
	}
	f.mutex.Lock()
	f.conns = append(f.conns, far)
	f.mutex.Unlock()
	return far.Auth(nil)
}

// reach connects to the fake as Connect does to systemd.
func (f *fakeSystemd) reach(t *testing.T) *Systemd {
	t.Helper()
	systemd, err := connect(context.Background(), t.TempDir(), func(context.Context) (*dbus.Conn, error) {
		return dbus.NewConnection(f.dial)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(systemd.Close)
	return systemd
}

func TestSystemdCalls(t *testing.T) {
	fake := &fakeSystemd{result: "done"}
	systemd, root := fake.reach(t), t.TempDir()
	done, err := Install(context.Background(), systemd, root, testProgram)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "done", phrases(root, "wrote ROOT"+administratorPath, "wrote ROOT"+healthPath, "wrote ROOT"+dropInPath, "enabled natspread.service", "reloaded systemd", "started natspread.service"), done)
	if _, err = InstallHealth(context.Background(), systemd, root, testProgram, ""); err != nil {
		t.Fatal(err)
	}
	if _, err = InstallMetrics(context.Background(), systemd, root, testProgram, testMetrics); err != nil {
		t.Fatal(err)
	}
	if _, err = Uninstall(context.Background(), systemd, root); err != nil {
		t.Fatal(err)
	}
	want(t, "calls", []string{
		"enable [natspread.service] false false", "reload", "start natspread.service replace",
		"enable [natspread-health.service] false false", "reload", "restart natspread-health.service replace",
		"enable [natspread-metrics.timer] false false", "reload", "start natspread-metrics.timer replace", "start natspread-metrics.service replace",
		"stop natspread-health.service replace", "stop natspread-metrics.timer replace", "stop natspread.service replace",
		"disable [natspread-health.service] false", "disable [natspread-metrics.timer] false", "disable [natspread.service] false",
		"reload", "reset-failed natspread-health.service", "reset-failed natspread-metrics.timer", "reset-failed natspread.service",
	}, fake.called)
}

// TestSystemdState reads what systemd calls the state of the unit.
func TestSystemdState(t *testing.T) {
	fake := &fakeSystemd{result: "done"}
	systemd := fake.reach(t)
	if state, err := systemd.State(context.Background(), paths.Unit); err == nil {
		t.Errorf("a systemd that does not answer says %q", state)
	}
	says := "failed"
	properties := map[string]any{
		"Get": func(of, property string) (bus.Variant, *bus.Error) {
			return bus.MakeVariant(says), fake.note("get %s %s", of, property)
		},
		"GetAll": func(string) (map[string]bus.Variant, *bus.Error) { return unitIn("enabled", says, 7), nil },
	}
	for _, conn := range fake.conns {
		if err := conn.ExportMethodTable(properties, managerPath+"/unit/natspread_2eservice", "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
	}
	if state, err := systemd.State(context.Background(), paths.Unit); err != nil || state != "failed" {
		t.Errorf("%q, %v", state, err)
	}
	want(t, "calls", []string{"get org.freedesktop.systemd1.Unit ActiveState"}, fake.called)
	says = "inactive" // it is queued behind others
	if state, err := systemd.State(context.Background(), paths.Unit); err != nil || state != "activating" {
		t.Errorf("%q, %v", state, err)
	}
}

func TestSystemdJobResults(t *testing.T) {
	for result, why := range map[string]string{
		"failed":     "its program failed",
		"timeout":    "it took too long",
		"dependency": "a unit that it needs failed",
		"canceled":   "another job took the place of this one",
		"skipped":    "a condition of the unit is not met",
		"assert":     "what the unit asserts is not so",
		"collected":  "systemd says collected",
	} {
		systemd := (&fakeSystemd{result: result}).reach(t)
		for verb, job := range map[string]func(context.Context, string) error{"start": systemd.Start, "stop": systemd.Stop} {
			message := "cannot " + verb + " natspread.service: " + why + "; see: journalctl -b -u natspread.service"
			if err := job(context.Background(), paths.Unit); err == nil || err.Error() != message {
				t.Errorf("%s: %v", result, err)
			}
		}
	}
}

// A job that never ends, as under a hung systemd, ends with the context.
func TestSystemdJobNeverEnds(t *testing.T) {
	systemd := (&fakeSystemd{}).reach(t)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := systemd.Start(ctx, paths.Unit); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// every is each request that a refusal can meet.
func every(s *Systemd) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"enable":              func(ctx context.Context) error { _, err := s.Enable(ctx, paths.Unit); return err },
		"disable":             func(ctx context.Context) error { _, err := s.Disable(ctx, paths.Unit); return err },
		"reload":              s.Reload,
		"start":               func(ctx context.Context) error { return s.Start(ctx, paths.Unit) },
		"stop":                func(ctx context.Context) error { return s.Stop(ctx, paths.Unit) },
		"reset":               func(ctx context.Context) error { return s.ResetFailed(ctx, paths.Unit) },
		"stop " + RevertTimer: s.CancelRevert,
	}
}

func TestSystemdRefuses(t *testing.T) {
	refusal := bus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"permission denied"})
	systemd := (&fakeSystemd{result: "done", refuse: refusal}).reach(t)
	for verb, request := range every(systemd) {
		err := request(context.Background())
		if err == nil || !strings.HasPrefix(err.Error(), "cannot "+verb) || !strings.HasSuffix(err.Error(), ": permission denied") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// A unit that systemd does not know is stopped, disabled and not failed; it cannot be started.
func TestSystemdNoSuchUnit(t *testing.T) {
	refusal := bus.NewError(noSuchUnit, []any{"Unit natspread.service not loaded."})
	systemd := (&fakeSystemd{refuse: refusal}).reach(t)
	fails := map[string]bool{"enable": true, "start": true, "reload": true}
	for verb, request := range every(systemd) {
		if err := request(context.Background()); (err != nil) != fails[verb] {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestSystemdEnableWithoutInstallSection(t *testing.T) {
	_, err := (&fakeSystemd{result: "skipped"}).reach(t).Enable(context.Background(), paths.Unit)
	if err == nil || !strings.Contains(err.Error(), "has no [Install] section") {
		t.Errorf("%v", err)
	}
}

func TestConnectWithoutSystemd(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "system")
	_, err := connect(context.Background(), missing, dbus.NewWithContext)
	if err == nil || err.Error() != "cannot reach systemd: it is not running here (no "+missing+"); for an image: natspread install --offline, or --root DIR from outside" {
		t.Errorf("%v", err)
	}
	_, err = connect(context.Background(), t.TempDir(), func(context.Context) (*dbus.Conn, error) {
		return nil, errors.New("connection refused")
	})
	if err == nil || err.Error() != "cannot reach systemd: connection refused" {
		t.Errorf("%v", err)
	}
}
