package main

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/config"
)

// seen is a watch in which the first client got 1 1 x 1 and the second waited for its second answer.
func seen() *watch {
	const ms = time.Millisecond
	return &watch{
		end:   780 * ms,
		names: []string{"192.0.2.20", "192.0.2.40"},
		rows: [][]answer{
			{{0, 10 * ms, '1'}, {60 * ms, 70 * ms, '1'}, {120 * ms, 130 * ms, failed}, {140 * ms, 149 * ms, '1'}, {760 * ms, 770 * ms, '1'}},
			{{0, 120 * ms, '2'}, {150 * ms, 699 * ms, '3'}},
		},
	}
}

func TestSince(t *testing.T) {
	for when, want := range map[time.Duration][]string{
		0:                       {"11x11", "23"},
		100 * time.Millisecond:  {"x11", "3"},
		1000 * time.Millisecond: {"", ""},
	} {
		if diff := cmp.Diff(want, seen().since(when)); diff != "" {
			t.Errorf("since %v (-want +got):\n%s", when, diff)
		}
	}
}

func TestKeeps(t *testing.T) {
	w := seen()
	for _, test := range []struct {
		when time.Duration
		home string
		of   func(int) bool
		said string
	}{
		{0, "12", everyone, `192.0.2.20 did not keep backend 1: it got "x"`},
		{140 * time.Millisecond, "13", everyone, ""},
		{0, "12", func(row int) bool { return row == 1 }, `192.0.2.40 did not keep backend 2: it got "3"`},
		{0, "12", func(int) bool { return false }, ""},
	} {
		err := w.keeps(test.when, test.home, test.of)
		if (err == nil) != (test.said == "") || err != nil && err.Error() != test.said {
			t.Errorf("since %v, %s: %v, not %q", test.when, test.home, err, test.said)
		}
	}
}

func TestPicture(t *testing.T) {
	w := seen()
	w.marks = []mark{{0, "begins"}, {200 * time.Millisecond, "dies"}, {24 * time.Hour, "never"}}
	column, happened, rows := w.picture(40)
	if column != shortest || happened != "|beg|dies"+strings.Repeat(" ", 30)+"|" {
		t.Errorf("columns of %v below %q", column, happened)
	}
	if diff := cmp.Diff([]string{"11x............1", "222..........3.."}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if column, _, rows := w.picture(8); column < 96*time.Millisecond || len(rows[0]) > 8 {
		t.Errorf("in a narrow place columns of %v: %q", column, rows)
	}
}

func TestMarkOf(t *testing.T) {
	var s story
	for _, address := range []string{"10.0.0.1", "10.0.0.2"} {
		s.service.Backends = append(s.service.Backends, config.Backend{Addr: netip.MustParseAddr(address), Port: 80})
	}
	for _, test := range []struct {
		server string
		err    error
		want   byte
	}{{"10.0.0.2:80", nil, '2'}, {"10.0.0.2:80", errors.New("reset"), failed}, {"10.0.0.9:80", nil, failed}} {
		if got := s.markOf(test.server, test.err); got != test.want {
			t.Errorf("%s, %v: %q, not %q", test.server, test.err, got, test.want)
		}
	}
}
