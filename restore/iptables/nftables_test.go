package iptables

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// generationMessage is what the kernel answers, with some attributes.
func generationMessage(kind uint16, attributes ...byte) []byte {
	message := make([]byte, 20, 20+len(attributes))
	binary.NativeEndian.PutUint32(message, uint32(20+len(attributes)))
	binary.NativeEndian.PutUint16(message[4:], kind)
	return append(message, attributes...)
}

// attributeOf returns one attribute of such a message.
func attributeOf(kind byte, value ...byte) []byte {
	header := make([]byte, 4)
	binary.NativeEndian.PutUint16(header, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(header[2:], uint16(kind))
	value = append(header, value...)
	for len(value)%4 != 0 {
		value = append(value, 0)
	}
	return value
}

// TestRulesetAnswer reads answers that the kernel gives, and others, without a panic.
func TestRulesetAnswer(t *testing.T) {
	pid, name, id := attributeOf(2, 0, 0, 1, 0), attributeOf(3, 'n', 'f', 't', 0, 'x'), attributeOf(1, 0, 0, 1, 7)
	for what, good := range map[string][]byte{
		"alone": id, "last": append(append([]byte{}, append(pid, name...)...), id...), "first": append(append([]byte{}, id...), name...),
	} {
		if got, err := rulesetAnswer(generationMessage(nftType(unix.NFT_MSG_NEWGEN), good...)); err != nil || got != 263 {
			t.Errorf("%s: %d, %v", what, got, err)
		}
	}
	for what, bad := range map[string][]byte{
		"nothing":         {},
		"a header only":   generationMessage(nftType(unix.NFT_MSG_NEWGEN))[:16],
		"no attribute":    generationMessage(nftType(unix.NFT_MSG_NEWGEN)),
		"an error":        generationMessage(2, id...),
		"another one":     generationMessage(nftType(unix.NFT_MSG_NEWGEN), name...),
		"one too short":   generationMessage(nftType(unix.NFT_MSG_NEWGEN), attributeOf(1, 0, 1)...),
		"one without end": generationMessage(nftType(unix.NFT_MSG_NEWGEN), 255, 0, 1, 0, 0, 0, 0, 7),
		"one of no size":  generationMessage(nftType(unix.NFT_MSG_NEWGEN), 0, 0, 1, 0, 0, 0, 0, 7),
	} {
		if got, err := rulesetAnswer(bad); err == nil {
			t.Errorf("%s: taken for %d", what, got)
		}
	}
}

// TestAnswerIs tells the kernel's refusals from its answers, and from what is neither.
func TestAnswerIs(t *testing.T) {
	refused := func(number int32) []byte {
		message := generationMessage(unix.NLMSG_ERROR)
		binary.NativeEndian.PutUint32(message[16:], uint32(number))
		return message
	}
	for what, c := range map[string]struct {
		answer []byte
		want   error
	}{
		"the chain":      {generationMessage(nftType(unix.NFT_MSG_NEWCHAIN)), nil},
		"none":           {refused(-int32(unix.ENOENT)), unix.ENOENT},
		"no rights":      {refused(-int32(unix.EPERM)), unix.EPERM},
		"an acknowledge": {refused(0), errAnswer},
		"another":        {generationMessage(nftType(unix.NFT_MSG_NEWTABLE)), errAnswer},
		"cut":            {refused(-int32(unix.ENOENT))[:16], errAnswer},
		"nothing":        {nil, errAnswer},
	} {
		if err := answerIs(c.answer, unix.NFT_MSG_NEWCHAIN); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// TestNFTHolds finds a chain, of its family and table only, whatever is in it, and without
// making a table.
func TestNFTHolds(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	want := func(family rules.Family, want bool) {
		t.Helper()
		if held, err := nftHolds(family, rules.Filter, rules.ServiceForward); held != want || err != nil {
			t.Errorf("%v: %v, %v; want %v", family, held, err, want)
		}
	}
	want(rules.IPv4, false)
	if tables := netnstest.Self().Command(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("the question made %s", tables)
	}
	for _, chain := range []string{"NATSPREAD-FORWARDER", "NATSPREAD-FORWAR"} {
		netnstest.Self().Command(t, "", "iptables-nft", "-N", chain)
	}
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "nat", "-N", rules.ServiceForward)
	want(rules.IPv4, false)
	netnstest.Self().Command(t, "", "iptables-nft", "-N", rules.ServiceForward)
	want(rules.IPv4, true)
	netnstest.Self().Command(t, "", "nft", "add rule ip filter NATSPREAD-FORWARD ct mark 1 fib saddr type local drop")
	want(rules.IPv4, true)
	want(rules.IPv6, false)
}

// TestRulesetID has another number after every change that anybody makes, and the same one
// as long as nobody does. For the legacy variant there is none.
func TestRulesetID(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	kernel := Kernel{Run: program.Exec(), Variant: rules.NFT}
	last := kernel.RulesetID()
	if last == 0 || kernel.RulesetID() != last {
		t.Errorf("%d, then %d", last, kernel.RulesetID())
	}
	for _, change := range []struct{ name, program, line string }{
		{"a rule", "iptables-nft", "-t nat -A PREROUTING -j ACCEPT"},
		{"a rule of the other family", "ip6tables-nft", "-A FORWARD -j DROP"},
		{"a table of nft's own", "nft", "add table inet other"},
	} {
		netnstest.Self().Command(t, "", change.program, strings.Fields(change.line)...)
		now := kernel.RulesetID()
		if now == last {
			t.Errorf("%s: still %d", change.name, now)
		}
		last = now
	}
	netnstest.Self().Command(t, "", "iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-j", "ACCEPT")
	if now := kernel.RulesetID(); now != last {
		t.Errorf("the legacy variant's change made it %d", now)
	}
	if legacy := (Kernel{Run: program.Exec(), Variant: rules.Legacy}).RulesetID(); legacy != 0 {
		t.Errorf("legacy: %d", legacy)
	}
}

// TestNamespaceID is the same for all threads of a namespace, and another in each other
// one, also in one that is made when another is gone.
func TestNamespaceID(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	here, err := NamespaceID()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{here: true}
	for range 20 {
		err := inScratchNamespace(func() error {
			there, err := NamespaceID()
			if seen[there] {
				t.Errorf("%q is given twice", there)
			}
			seen[there] = true
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := NamespaceID(); err != nil || again != here {
			t.Errorf("%q, then %q, %v", here, again, err)
		}
	}
}
