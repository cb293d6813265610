package nftables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
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
		if got, err := rulesetAnswer(generationMessage(typeOf(unix.NFT_MSG_NEWGEN), good...)); err != nil || got != 263 {
			t.Errorf("%s: %d, %v", what, got, err)
		}
	}
	for what, bad := range map[string][]byte{
		"nothing":         {},
		"a header only":   generationMessage(typeOf(unix.NFT_MSG_NEWGEN))[:16],
		"no attribute":    generationMessage(typeOf(unix.NFT_MSG_NEWGEN)),
		"an error":        generationMessage(2, id...),
		"another one":     generationMessage(typeOf(unix.NFT_MSG_NEWGEN), name...),
		"one too short":   generationMessage(typeOf(unix.NFT_MSG_NEWGEN), attributeOf(1, 0, 1)...),
		"one without end": generationMessage(typeOf(unix.NFT_MSG_NEWGEN), 255, 0, 1, 0, 0, 0, 0, 7),
		"one of no size":  generationMessage(typeOf(unix.NFT_MSG_NEWGEN), 0, 0, 1, 0, 0, 0, 0, 7),
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
		"the chain":      {generationMessage(typeOf(unix.NFT_MSG_NEWCHAIN)), nil},
		"none":           {refused(-int32(unix.ENOENT)), unix.ENOENT},
		"no rights":      {refused(-int32(unix.EPERM)), unix.EPERM},
		"an acknowledge": {refused(0), errAnswer},
		"another":        {generationMessage(typeOf(unix.NFT_MSG_NEWTABLE)), errAnswer},
		"cut":            {refused(-int32(unix.ENOENT))[:16], errAnswer},
		"nothing":        {nil, errAnswer},
	} {
		if err := answerIs(c.answer, unix.NFT_MSG_NEWCHAIN); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// TestHasChain finds a chain, of its family and table only, whatever is in it, and without
// making a table.
func TestHasChain(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	want := func(family rules.Family, want bool) {
		t.Helper()
		if held, err := HasChain(family, rules.Filter, rules.ServiceForward); held != want || err != nil {
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

// TestOwnChains lists natspread's chains of one table and family, however many there are and
// whatever is in them.
func TestOwnChains(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	want := func(family rules.Family, kind rules.TableName, want []string) {
		t.Helper()
		names, err := OwnChains(family, kind)
		slices.Sort(names)
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%v %v: %d chains, %v; want %d", family, kind, len(names), err, len(want))
		}
	}
	want(rules.IPv4, rules.NAT, nil)
	if tables := netnstest.Self().Command(t, "", "nft", "list", "tables"); tables != "" {
		t.Errorf("the question made %s", tables)
	}
	var many []string
	text := "*nat\n"
	for i := range 500 { // more than fit into one message
		many = append(many, fmt.Sprintf("NATSPREAD-service%d", i))
		text += fmt.Sprintf(":%s - [0:0]\n:OTHER%d - [0:0]\n", many[i], i)
	}
	slices.Sort(many)
	hosttest.Put(t, rules.NFT, rules.IPv4, text+"COMMIT\n")
	hosttest.IPTablesOn(t, rules.NFT, rules.IPv4, rules.Filter, "-N NATSPREAD-FORWARD")
	hosttest.IPTablesOn(t, rules.NFT, rules.IPv6, rules.NAT, "-N NATSPREAD-six")
	netnstest.Self().Command(t, "", "nft", "add table ip natspread; add chain ip natspread NATSPREAD-PRE")
	netnstest.Self().Command(t, "", "nft", "add rule ip filter NATSPREAD-FORWARD ct mark 1 fib saddr type local drop")
	want(rules.IPv4, rules.NAT, many)
	want(rules.IPv4, rules.Filter, []string{"NATSPREAD-FORWARD"})
	want(rules.IPv6, rules.NAT, []string{"NATSPREAD-six"})
	want(rules.IPv6, rules.Filter, nil)
}
