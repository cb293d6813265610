package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// at is a moment so many milliseconds after another.
func at(milliseconds int) time.Time {
	return time.Unix(0, 0).Add(time.Duration(milliseconds) * time.Millisecond)
}

// TestJudges counts what was lost of some connections.
func TestJudges(t *testing.T) {
	shots := []shot{
		{at(0), at(1), wasRefused, ""}, // before the death
		{at(100), at(101), wasRefused, ""},
		{at(200), at(201), good, "b"},
		{at(700), at(4700), wasSilent, ""}, // its end does not count
		{at(600), at(601), "status-500", "a"},
		{at(800), at(801), good, "a"},
		{at(900), at(901), wasRefused, ""},
	}
	death := at(50)
	if last := lastLost(shots, death, at(850)); last != 650*time.Millisecond {
		t.Errorf("the last loss is %v", last)
	}
	if last := lastLost(shots, at(1000), at(2000)); last != 0 {
		t.Errorf("nothing was lost, but for the last loss of %v", last)
	}
	if lost := lostAfter(shots, death); lost != 4 {
		t.Errorf("%d are lost", lost)
	}
	if first, found := firstOf(shots, "a", death); !found || first != 750*time.Millisecond {
		t.Errorf("a is back after %v, %v", first, found)
	}
	if first, found := firstOf(shots, "b", at(201)); found {
		t.Errorf("b is back after %v", first)
	}
	if all := outcomes(shots); all[good] != 2 || all[wasRefused] != 3 || len(all) != 4 {
		t.Errorf("%v", all)
	}
	if m := median([]int{5, 1, 9}); m != 5 {
		t.Errorf("the median is %d", m)
	}
	if atMost("it", 2*interval, 2) != nil || atMost("it", 2*interval+1, 2) == nil {
		t.Error("a bound is not the most")
	}
}

// TestOutcomeOf has one word for each error.
func TestOutcomeOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, wasRefused},
		{fmt.Errorf("x: %w", os.ErrDeadlineExceeded), wasSilent},
		{errors.New("no route to host"), "no-route-to-host"},
	} {
		if got := outcomeOf(test.err); got != test.want {
			t.Errorf("%v is %q, not %q", test.err, got, test.want)
		}
	}
}

// TestMany has half of the many backends in the part that dies.
func TestMany(t *testing.T) {
	for _, family := range []int{4, 6} {
		seen, dead := map[string]bool{}, 0
		for i := range 30_000 {
			address := many(family, i)
			seen[address.String()] = true
			if doomed(family).Contains(address) {
				dead++
			}
		}
		if len(seen) != 30_000 || dead != 15_000 {
			t.Errorf("%d addresses, of which %d die", len(seen), dead)
		}
	}
}

// TestUsage types what cannot be played.
func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		said string
	}{
		{nil, exitUsage, "usage: health"},
		{[]string{"-scene", "(", "/bin/true"}, exitUsage, "usage: health"},
		{[]string{"-at-once", "0", "/bin/true"}, exitUsage, "usage: health"},
		{[]string{"-scene", "^nothing$", "/bin/true"}, exitFailed, "0 passed, 0 failed"},
	} {
		var said strings.Builder
		if code := run(test.args, &said, &said); code != test.code || !strings.Contains(said.String(), test.said) {
			t.Errorf("health %q: exit code %d, said %q", test.args, code, said.String())
		}
	}
}
