package netns

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Main plays the part that the first argument names, or else runs the program, and returns the
// exit code. It is the first that a program does: it keeps the first thread, whose namespaces
// /proc/self shows.
func Main(parts map[string]func(args []string) error, run func(args []string, stdout, stderr io.Writer) int) int {
	runtime.LockOSThread()
	args := os.Args[1:]
	if len(args) == 0 || parts[args[0]] == nil {
		return run(args, os.Stdout, os.Stderr)
	}
	if err := parts[args[0]](args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// Output runs this program as Isolated does, and returns all that it said.
func Output(ctx context.Context, root Root, args ...string) (string, error) {
	runtime.LockOSThread() // the process ends with the thread that starts it
	defer runtime.UnlockOSThread()
	cmd, err := Isolated(ctx, root, args...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if cause := ctx.Err(); cause != nil {
		err = fmt.Errorf("ended before it was over: %w", cause)
	}
	return string(out), err
}

// Part is this program in another namespace, which ends with its standard input.
type Part struct {
	stdin io.WriteCloser
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has said all

	mu    sync.Mutex
	lines []string
}

// StartPart starts it, and waits for its first line, with which it is ready.
func StartPart(host string, args ...string) (*Part, error) {
	p := &Part{cmd: exec.Command("/proc/self/exe", args...), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := Within(host, p.cmd.Start); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go p.listen(stdout, ready)
	select {
	case <-ready:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%v ended at once", args)
	}
}

// listen keeps what the part says.
func (p *Part) listen(stdout io.Reader, ready chan struct{}) {
	defer close(p.ended)
	first := true
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if first {
			close(ready)
			first = false
			continue
		}
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		p.mu.Unlock()
	}
}

// Said returns all lines so far.
func (p *Part) Said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// Tell gives it a line.
func (p *Part) Tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// Stop ends it, and waits until it has said all.
func (p *Part) Stop() error {
	err := p.stdin.Close()
	<-p.ended
	if waited := p.cmd.Wait(); err == nil {
		err = waited
	}
	return err
}

// Bound is a command line in a mount namespace of its own, where dir/X is bound to X for each
// directory X. Blanks are between the directories. One that dir lies in must be the last.
func Bound(dir, directories string, line ...string) *exec.Cmd {
	const script = `dir=$1 all=$2; shift 2; for one in $all; do mount --bind "$dir$one" "$one" || exit; done; exec "$@"`
	return exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", dir, directories}, line...)...)
}

// Await waits until a condition is true, and is an error where it is not in that time.
func Await(bound time.Duration, words string, condition func() bool) error {
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v in vain: %s", bound, words)
		}
	}
	return nil
}

// IP runs a batch of ip(8) in a namespace, or in this one.
func IP(namespace, batch string) error {
	args := []string{"-batch", "-"}
	if namespace != "" {
		args = append([]string{"-n", namespace}, args...)
	}
	_, err := Pipe(batch, "ip", args...)
	return err
}
