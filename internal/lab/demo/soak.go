package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/restore/generation"
)

// soak applies two configs in turn, so many times, while the client makes connections
// without a pause. No connection may fail, and neither the memory that an apply takes nor
// the number of files may grow.
func (s *story) soak(applies int) error {
	err := errors.Join(s.stage(), s.typable(), os.Mkdir(processes, 0o755), unix.Mount("proc", processes, "proc", 0, ""))
	if err != nil {
		return err
	}
	if err := s.applyTurn(0, nil); err != nil {
		return err
	}
	stop, load := s.load()
	began := time.Now()
	var peaks []int
	files := 0
	for i := 1; i <= applies; i++ {
		var peak int
		if err := s.applyTurn(i, &peak); err != nil {
			return errors.Join(err, stop())
		}
		peaks = append(peaks, peak)
		if i == applies/2 {
			files = countFiles(root)
		}
	}
	took := time.Since(began)
	if err := stop(); err != nil {
		return err
	}
	return s.judgeSoak(peaks, files, fmt.Sprintf("%d applies in %.0f s, under %d connections of which none failed", applies, took.Seconds(), load.Load()))
}

// applyTurn applies the config of a turn, and tells the most memory that it took, in KiB.
func (s *story) applyTurn(turn int, peak *int) error {
	var config strings.Builder
	fmt.Fprintf(&config, "[[service]]\nname = \"web\"\nlisten = %q\nbackends = [\n", s.listen)
	for i, backend := range s.service.Backends {
		fmt.Fprintf(&config, "  { address = %q, weight = %d },\n", backend, 1+(i+turn)%2)
	}
	config.WriteString("]\n")
	file := filepath.Join(root, paths.Config)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(config.String()), 0o644)); err != nil {
		return err
	}
	var said strings.Builder
	cmd := exec.Command(s.program, append(s.flags(root), "apply")...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if now := memory(cmd.Process.Pid); peak != nil && now > *peak {
			*peak = now
		}
		select {
		case err := <-ended:
			if err != nil || !strings.HasPrefix(said.String(), "applied generation ") {
				return fmt.Errorf("apply %d: %w: %s", turn, err, said.String())
			}
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// flags are those of every run on the balancer that has its files there.
func (s *story) flags(root string) []string {
	flags := []string{"--root", root, "--live"}
	if s.variant != "" {
		flags = append(flags, "--variant", s.variant)
	}
	return flags
}

// processes is where the processes of this namespace are shown: /proc has the machine's.
const processes = "/run/processes"

// highWater is the most memory that natspread had in use: proc_pid_status(5). Before it is
// natspread, a process shares the memory of the one that starts it.
var highWater = regexp.MustCompile(`(?s)^Name:\s+natspread.*\nVmHWM:\s+(\d+) kB\n`)

// memory returns it for a process, in KiB, 0 when that has ended.
func memory(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("%s/%d/status", processes, pid))
	found := highWater.FindSubmatch(status)
	if found == nil {
		return 0
	}
	peak, _ := strconv.Atoi(string(found[1])) // digits
	return peak
}

// load makes connections from the client until it is stopped, and counts them; stop returns
// what failed.
func (s *story) load() (stop func() error, made *atomic.Int64) {
	made = new(atomic.Int64)
	var ended atomic.Bool
	var wait sync.WaitGroup
	failures := make([]error, askers)
	for i := range askers {
		wait.Go(func() {
			failures[i] = s.network.client.Do(func() error {
				for !ended.Load() {
					if _, err := s.network.ask(s.listen); err != nil {
						return fmt.Errorf("a connection failed: %w", err)
					}
					made.Add(1)
				}
				return nil
			})
		})
	}
	return func() error { ended.Store(true); wait.Wait(); return errors.Join(failures...) }, made
}

// judgeSoak is an error if an apply took more memory at the end than in the middle, or if
// there are more files. Until then the generations that are kept have become as many as they
// may be, and connection tracking is as full as it gets.
func (s *story) judgeSoak(peaks []int, files int, what string) error {
	part := max(1, len(peaks)/10)
	first, half, last := median(peaks[:part]), median(peaks[len(peaks)/2:][:part]), median(peaks[len(peaks)-part:])
	generations, err := generation.Store{Root: root}.Numbers()
	if err != nil {
		return err
	}
	s.say("%s: %s; peak memory of the first %d applies %.1f MB, of the last %.1f MB, at most %.1f MB; %d generations, %d files",
		s.variant, what, part, megabytes(first), megabytes(last), megabytes(slices.Max(peaks)), len(generations), countFiles(root))
	switch {
	case last > half*11/10:
		return errors.New("an apply takes ever more memory")
	case countFiles(root) > files || len(generations) > generation.Keep:
		return fmt.Errorf("there are ever more files: %d, and %d at half time", countFiles(root), files)
	}
	return s.run(s.natspread("status"))
}

// median returns the one in the middle.
func median(all []int) int {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// megabytes writes KiB as MB.
func megabytes(kib int) float64 { return float64(kib) * 1024 / 1e6 }

// countFiles counts what is below a directory.
func countFiles(dir string) (files int) {
	_ = filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { files++; return nil })
	return files
}
