package flows

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// all returns every entry of a family, by client.
func all(t *testing.T, family rules.Family) (entries []Entry) {
	t.Helper()
	if err := Each(t.Context(), family, func(e Entry) { entries = append(entries, e) }); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.OrigSrc.Compare(b.OrigSrc) })
	return entries
}

// line writes an entry in the form of netnstest.Track.
func line(e Entry) string {
	return fmt.Sprint(e.Protocol, " ", e.OrigSrc, " ", e.OrigDst, " ", e.ReplySrc, " ", e.ReplyDst)
}

// TestEach reads entries of every protocol and family as they were made.
func TestEach(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	lines := []string{
		"tcp 192.0.2.99:1001 192.0.2.10:80 10.0.0.1:8080 10.0.0.254:1024",
		"udp 192.0.2.99:1002 192.0.2.10:53 192.0.2.10:53 192.0.2.99:1002",
		"sctp 192.0.2.99:1003 192.0.2.10:81 10.0.0.1:81 192.0.2.99:1003",
		"tcp [2001:db8::99]:1001 [2001:db8::10]:80 [fd00::1]:80 [fd00::fe]:1024",
	}
	netnstest.Track(t, tcpTimeWait, lines...)
	var read []string
	for _, family := range rules.Families() {
		for _, e := range all(t, family) {
			read = append(read, line(e))
			if e.Waits() != (e.Protocol == TCP) || e.Translated() != (e.Protocol != UDP) {
				t.Errorf("%+v: waits %v, translated %v", e, e.Waits(), e.Translated())
			}
		}
	}
	if diff := cmp.Diff(lines, read); diff != "" {
		t.Errorf("want -, read +:\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	if err := Each(ctx, rules.IPv4, func(Entry) { seen++; cancel() }); !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("%d entries were read until the end, %v", seen, err)
	}
}

// TestICMP reads what has no ports, seen both ways.
func TestICMP(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "", netnstest.Programs("nft", 4).Iptables, "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	conn, err := net.Dial("ip4:icmp", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}) // an echo request, of which the checksum is right
	for range 2 {                                           // a raw socket hears the request, too
		_, _ = conn.Read(make([]byte, 64))
	}
	entries := all(t, rules.IPv4)
	if len(entries) != 1 || line(entries[0]) != "1 127.0.0.1:0 127.0.0.1:0 127.0.0.1:0 127.0.0.1:0" || !entries[0].SeenReply {
		t.Errorf("read %+v", entries)
	}
}

// TestDeleteEntries deletes more than one message of the kernel's holds, and no other; it is
// content with what is gone.
func TestDeleteEntries(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	const many = 3000
	lines := []string{"udp 192.0.2.99:1000 192.0.2.10:81 10.0.0.1:80"}
	for i := range many {
		lines = append(lines, fmt.Sprintf("udp 192.0.2.99:%d 192.0.2.10:80 10.0.0.1:80", 1024+i))
	}
	netnstest.Track(t, 0, lines...)
	deleted, err := deleteEntries(t.Context(), rules.IPv4, func(e Entry) bool { return e.OrigDst.Port() == 80 })
	if left := all(t, rules.IPv4); err != nil || deleted != many || len(left) != 1 {
		t.Errorf("%d deleted, %d left, %v; want %d and 1", deleted, len(left), err, many)
	}
	flush := func(Entry) bool { return netlink.ConntrackTableFlush(netlink.ConntrackTable) == nil }
	netnstest.Track(t, 0, lines[:2]...)
	if deleted, err := deleteEntries(t.Context(), rules.IPv4, flush); err != nil || deleted != 0 || len(all(t, rules.IPv4)) != 0 {
		t.Errorf("%d deleted of what was gone, %v", deleted, err)
	}
}
