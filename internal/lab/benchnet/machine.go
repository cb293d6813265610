package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describe prints what the figures depend on: the machine, its kernel, the
// programs, and what else keeps it busy.
func describe(out io.Writer) {
	var name unix.Utsname
	_ = unix.Uname(&name)
	fmt.Fprintf(out, "%s, %s\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), strings.Join(os.Args[3:], " "))
	fmt.Fprintf(out, "%s, %d processors, Linux %s\n", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), unix.ByteSliceToString(name.Release[:]))
	for _, version := range [][]string{{"iptables-nft", "-V"}, {"nft", "-v"}, {"haproxy", "-v"}, {"nginx", "-v"}} {
		said, err := exec.Command(version[0], version[1:]...).CombinedOutput()
		line, _, _ := strings.Cut(string(said), "\n")
		if err != nil {
			line = version[0] + ": none"
		}
		fmt.Fprintln(out, line)
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Fprintf(out, "load before: %s\n", strings.TrimSpace(string(load)))
}

// field returns the value of a line "name : value".
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown " + name
}
