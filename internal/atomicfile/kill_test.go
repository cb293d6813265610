package atomicfile

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/test/await"
)

// writerVariable makes the test binary a program that rewrites the file it names until it is killed.
const writerVariable = "NATSPREAD_TEST_REWRITE"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		rewriteForEver(path)
	}
	os.Exit(m.Run())
}

// version is big enough for a kill to land inside the write.
func version(letter string) []byte { return bytes.Repeat([]byte(letter), 1<<21) }

// rewriteForEver says when its first version stands, then goes on until the kill.
func rewriteForEver(path string) {
	versions := [2][]byte{version("a"), version("b")}
	for i := 0; ; i++ {
		if err := WriteFile(path, versions[i%2], 0o600); err != nil {
			os.Exit(1)
		}
		if i == 0 {
			_, _ = os.Stdout.WriteString("ready\n")
		}
	}
}

// killWriter kills a writer at a random moment of its work.
func killWriter(t *testing.T, path string) {
	t.Helper()
	writer := exec.Command("/proc/self/exe")
	writer.Env = append(os.Environ(), writerVariable+"="+path)
	said, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 6)); err != nil {
		t.Errorf("the writer did not get ready: %v", err)
	}
	awaitMoment(t, path)
	_ = writer.Process.Kill()
	if err := writer.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the writer ended by itself: %v", err)
	}
}

// awaitMoment returns at a moment of a writer's work: when a part of a new file is written, when a new file has
// just taken the old one's place, or at once.
func awaitMoment(t *testing.T, path string) {
	t.Helper()
	switch rand.IntN(3) {
	case 0:
		least := rand.Int64N(int64(len(version("a"))))
		await.True(t, "the new file grows", func() bool {
			for _, name := range names(t, filepath.Dir(path)) {
				info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
				if name != filepath.Base(path) && err == nil && info.Size() >= least {
					return true
				}
			}
			return false
		})
	case 1:
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		await.True(t, "the new file takes the old one's place", func() bool {
			now, err := os.Stat(path)
			return err == nil && !os.SameFile(before, now)
		})
	}
}

func TestKilledInTheMiddle(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.v4")
	leftOvers := 0
	for range 30 {
		killWriter(t, path)
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, version("a")) && !bytes.Equal(got, version("b")) {
			t.Fatalf("after a kill: %d bytes beginning with %.10q, %v", len(got), got, err)
		}
		leftOvers += len(names(t, dir)) - 1
		if err := Sweep(dir, "rules.v4"); err != nil {
			t.Fatal(err)
		}
		wantNames(t, dir, []string{"rules.v4"})
	}
	if leftOvers == 0 {
		t.Error("no kill of 30 landed inside a write: this test has proven nothing")
	}
}
