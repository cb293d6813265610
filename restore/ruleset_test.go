package restore

import (
	"encoding/binary"
	"os"
	"testing"

	"natspread/internal/netnstest"
	"natspread/nat"
)

// generationMessage is what the kernel answers, with some attributes.
func generationMessage(kind uint16, attributes ...byte) []byte {
	message := make([]byte, 20, 20+len(attributes))
	binary.NativeEndian.PutUint32(message, uint32(20+len(attributes)))
	binary.NativeEndian.PutUint16(message[4:], kind)
	return append(message, attributes...)
}

// attribute is one attribute of such a message.
func attribute(kind byte, value ...byte) []byte {
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
	pid, name, id := attribute(2, 0, 0, 1, 0), attribute(3, 'n', 'f', 't', 0, 'x'), attribute(1, 0, 0, 1, 7)
	for what, good := range map[string][]byte{
		"alone": id, "last": append(append([]byte{}, append(pid, name...)...), id...), "first": append(append([]byte{}, id...), name...),
	} {
		if got, err := rulesetAnswer(generationMessage(newRulesetType, good...)); err != nil || got != 263 {
			t.Errorf("%s: %d, %v", what, got, err)
		}
	}
	for what, bad := range map[string][]byte{
		"nothing":         {},
		"a header only":   generationMessage(newRulesetType)[:16],
		"no attribute":    generationMessage(newRulesetType),
		"an error":        generationMessage(2, id...),
		"another one":     generationMessage(newRulesetType, name...),
		"one too short":   generationMessage(newRulesetType, attribute(1, 0, 1)...),
		"one without end": generationMessage(newRulesetType, 255, 0, 1, 0, 0, 0, 0, 7),
		"one of no size":  generationMessage(newRulesetType, 0, 0, 1, 0, 0, 0, 0, 7),
	} {
		if got, err := rulesetAnswer(bad); err == nil {
			t.Errorf("%s: taken for %d", what, got)
		}
	}
}

// TestRecalls believes only what was seen of the same kernel, namespace, variant and
// generation, while the ruleset has the same number.
func TestRecalls(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := Host{Root: t.TempDir(), Run: Exec()}
	if err := os.MkdirAll(host.Root+"/"+runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	kernel := Kernel{Run: Exec(), Variant: NFT}
	load := func(rule string) {
		t.Helper()
		if err := kernel.restore(t.Context(), nat.IPv4, []byte("*nat\n-A PREROUTING "+rule+"\nCOMMIT\n"), "--noflush"); err != nil {
			t.Fatal(err)
		}
	}
	load("-j ACCEPT")
	host.remember(kernel, 7, kernel.rulesetID())
	if _, held := host.recalls(kernel, 7); !held {
		t.Error("what was just seen is not believed")
	}
	if _, held := host.recalls(kernel, 8); held {
		t.Error("another generation is believed")
	}
	if _, held := host.recalls(Kernel{Variant: Legacy}, 7); held {
		t.Error("the other variant is believed")
	}
	load("-j RETURN")
	if _, held := host.recalls(kernel, 7); held {
		t.Error("another ruleset is believed")
	}
	host.remember(kernel, 7, kernel.rulesetID())
	path := host.Root + "/" + runDir + "/" + sightingFile
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"garbage": "{", "another namespace": string(data[:len(data)-2]) + `1]"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, held := host.recalls(kernel, 7); held {
			t.Errorf("%s is believed", name)
		}
	}
	host.remember(kernel, 7, 0)
	if _, err := os.Stat(path); err == nil {
		t.Error("what is not known is kept")
	}
}
