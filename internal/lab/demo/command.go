package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// typable makes the commands those that a person types: natspread is found by that name, and its
// config where the person is.
func (s *story) typable() error {
	const programs = "/run/bin"
	return errors.Join(os.MkdirAll(programs, 0o755), os.Symlink(s.program, filepath.Join(programs, "natspread")),
		os.Setenv("PATH", programs+":"+os.Getenv("PATH")))
}

// run shows a command as it would be typed, runs it and shows what it says.
func (s *story) run(line string) error {
	s.say("%s", s.paint(bold, "$ "+line))
	said, err := exec.Command("sh", "-c", line).CombinedOutput()
	s.quote(string(said))
	if err != nil {
		return fmt.Errorf("%s: %w", line, err)
	}
	return nil
}

// runAll runs one after the other, up to the first that fails.
func (s *story) runAll(lines ...string) error {
	for _, line := range lines {
		if err := s.run(line); err != nil {
			return err
		}
	}
	return nil
}

// natspread is the command line of a verb.
func (s *story) natspread(verb string) string {
	return "natspread " + strings.Join(append(s.flags(root), verb), " ")
}

// background shows a command and starts it. What it returns ends it, and shows what it said.
func (s *story) background(line string) (end func() error, err error) {
	s.say("%s", s.paint(bold, "$ "+line+" &"))
	var said bytes.Buffer
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		s.say("%s", s.paint(bold, "$ kill %1"))
		err := cmd.Process.Signal(unix.SIGTERM)
		if ended := cmd.Wait(); err == nil && ended != nil {
			err = fmt.Errorf("%s: %w", line, ended)
		}
		s.quote(said.String())
		return err
	}, nil
}
