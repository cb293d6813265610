package watcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/paths"
	"natspread/internal/probe"
	"natspread/internal/program"
	"natspread/restore"
	"natspread/restore/flows"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// On returns the seams of a host, but for Metrics, and what the watcher before knew. The
// kernel must have what tells network namespaces apart.
func On(ctx context.Context, host restore.Host, print func(Level, string)) (Seams, health.Record, error) {
	store := host.Store()
	if store.Namespace == "" {
		return Seams{}, health.Record{}, fmt.Errorf("%w: health checks need Linux 5.14 or later (SO_NETNS_COOKIE)", program.ErrMissing)
	}
	kernel, err := host.Kernel(ctx)
	if err != nil {
		return Seams{}, health.Record{}, err
	}
	progress := &progress{}
	loader, watch := host, new(flows.Watch)
	loader.Run, loader.Memory = progress.count(host.Run), new(restore.Memory)
	seams := Seams{
		Now: generation.SinceBoot, Random: rand.Float64, Addresses: addresses, Log: print,
		Ask:    func(ctx context.Context, c health.Check) error { return Target(c).Do(ctx) },
		Signs:  func() Signs { return signsOf(store, kernel) },
		Read:   func() (Standing, error) { return read(store) },
		Notify: func(state string) { _, _ = daemon.SdNotify(false, state) },
		Present: func(ctx context.Context) (bool, error) {
			return kernel.InUse(ctx)
		},
		Load: func(ctx context.Context, o restore.Overlay, freed restore.Freed) (restore.Result, error) {
			progress.mark()
			return loader.LoadOverlay(ctx, o, freed)
		},
		Busy: progress.since, Connections: watch.Look,
		Write: func(record health.Record) error { return write(host, store.Namespace, record) },
	}
	past, err := pastOf(host, store.Namespace)
	if err != nil {
		print(Warning, err.Error())
	}
	return seams, past, nil
}

// pastOf returns what the watcher before wrote here; none is no error.
func pastOf(host restore.Host, namespace string) (health.Record, error) {
	data, err := host.HealthRecord()
	if errors.Is(err, fs.ErrNotExist) {
		return health.Record{}, nil
	}
	if err != nil {
		return health.Record{}, err
	}
	return health.DecodeRecord(data, namespace, generation.SinceBoot())
}

// write keeps a record.
func write(host restore.Host, namespace string, record health.Record) error {
	record.Namespace = namespace
	data, err := record.Encode()
	if err != nil {
		return err
	}
	return host.WriteHealthRecord(data)
}

// signsOf looks at the few files, and at the number, that change with what is to be held.
func signsOf(store generation.Store, kernel iptables.Kernel) Signs {
	current, _ := os.Readlink(store.Path(paths.Current))
	return Signs{
		Current: current, Pending: stamp(store.Path(generation.PendingRecord)),
		Overlay: store.OverlaySum(), Files: stamps(store.Path(paths.Overlay)), Ruleset: kernel.RulesetID(),
	}
}

// stamps tells whether a file of a directory was changed.
func stamps(dir string) string {
	all := ""
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		all += entry.Name() + " " + stamp(dir+"/"+entry.Name()) + "\n"
	}
	return all
}

// stamp tells whether a file was changed; "" where there is none.
func stamp(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.Size(), info.ModTime().UnixNano(), info.Mode())
}

// read reads what the kernel is to hold. The config is the generation's own: what stands in
// /etc may not be applied yet.
func read(store generation.Store) (Standing, error) {
	wanted := store.Wanted()
	number := wanted.Generation.Number
	switch {
	case number == 0 && errors.Is(wanted.Fallback, generation.ErrNone):
		return Standing{}, nil
	case number == 0: // nobody's states are to be forgotten for that
		return Standing{}, wanted.Fallback
	}
	cfg, err := config.ParseSet(wanted.Generation.Config)
	if err != nil {
		return Standing{}, fmt.Errorf("cannot read the config of generation %d: %w", number, err)
	}
	standing := Standing{Generation: number, Config: cfg, Tables: wanted.Generation.Tables}
	if wanted.Overlay == nil {
		return standing, nil
	}
	standing.Overlay, standing.Unsure = wanted.Overlay.Sum, wanted.Overlay.Loading
	if standing.Note, err = health.DecodeNote(wanted.Overlay.Note); err != nil {
		standing.Unsure = true // it is made anew
		return standing, nil
	}
	standing.Tables = wanted.Overlay.Tables
	return standing, nil
}

// addresses returns this host's own.
func addresses() ([]netip.Addr, error) {
	own, err := net.InterfaceAddrs()
	var all []netip.Addr
	for _, one := range own {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil {
			all = append(all, prefix.Addr().Unmap())
		}
	}
	return all, err
}

// Target returns what a check asks.
func Target(c health.Check) probe.Target {
	target := probe.Target{
		Kind: probe.Kind(c.Type), Address: c.Target, Source: c.Source, Timeout: c.Timeout,
		Send: c.Send, Receive: c.Receive, Path: c.Path, Host: c.Host, Good: c.Expects,
		TLSName: c.TLSName, Insecure: c.Insecure,
	}
	if target.Host == "" {
		target.Host = c.Target.String()
	}
	if target.TLSName == "" {
		target.TLSName = c.Target.Addr().String()
	}
	return target
}

// progress notes when a load went on: one that only waits does not.
type progress struct{ last atomic.Int64 }

// mark notes that something began or ended.
func (p *progress) mark() { p.last.Store(int64(generation.SinceBoot())) }

// since returns how long ago that was.
func (p *progress) since() time.Duration {
	return generation.SinceBoot() - time.Duration(p.last.Load())
}

// count notes the begin and the end of each program.
func (p *progress) count(run program.Runner) program.Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		p.mark()
		defer p.mark()
		return run(ctx, stdin, name, args...)
	}
}

// Print returns what prints lines no less grave than a level, to systemd's journal with the
// level before each: see sd-daemon(3).
func Print(to io.Writer, journal bool, most Level) func(Level, string) {
	return func(level Level, line string) {
		if level > most {
			return
		}
		if journal {
			line = fmt.Sprintf("<%d>%s", level, line)
		}
		fmt.Fprintln(to, line)
	}
}
