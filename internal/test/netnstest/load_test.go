package netnstest

import (
	"strings"
	"testing"
)

// TestLoad has all of it answered.
func TestLoad(t *testing.T) {
	if !Isolate(t) {
		return
	}
	load, asked := NewLoad(t), make(chan bool)
	addr := Serve(t, Self(), "tcp", "127.0.0.1:0")
	load.Connect(Self(), addr)
	stop := load.Keep(Converse(t, Self(), "tcp", addr), addr)
	load.Always(func() error {
		select {
		case asked <- true:
		case <-load.ctx.Done():
		}
		return nil
	})
	for range 10 {
		<-asked
	}
	stop()
	load.WantGood(t, 10)
}

// TestBadLoad has a load that fails in all it can.
func TestBadLoad(t *testing.T) {
	output, code := runHelper(t, "bad load", nil)
	for _, want := range []string{"a conversation with nobody was taken over by ", "connection refused", "failed: []"} {
		if code != 1 || !strings.Contains(output, want) {
			t.Errorf("exit code %d, without %q:\n%s", code, want, output)
		}
	}
}
