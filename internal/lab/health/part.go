package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"natspread/internal/lab/netns"
)

// part is this program in another namespace, which ends with its standard input.
type part struct {
	stdin io.WriteCloser
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has said all

	mu    sync.Mutex
	lines []string
}

// startPart starts it, and waits for its first line, with which it is ready.
func startPart(host string, args ...string) (*part, error) {
	p := &part{cmd: exec.Command("/proc/self/exe", args...), ended: make(chan struct{})}
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
	if err := netns.Within(host, p.cmd.Start); err != nil {
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
func (p *part) listen(stdout io.Reader, ready chan struct{}) {
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

// said returns all lines so far.
func (p *part) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...)
}

// tell gives it a line.
func (p *part) tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// stop ends it, and waits until it has said all.
func (p *part) stop() error {
	err := p.stdin.Close()
	<-p.ended
	if waited := p.cmd.Wait(); err == nil {
		err = waited
	}
	return err
}
