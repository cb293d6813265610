package netns

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

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
