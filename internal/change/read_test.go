package change

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"natspread/internal/config"
	"natspread/internal/paths"
)

// oneService is the shortest config there is.
const oneService = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80"]
`

// TestReadRefuses turns away what is no regular file of a sane size, before
// reading any of it.
func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 100<<20); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	usual := filepath.Join(dir, paths.Config)
	kept := filepath.Join(dir, "kept", paths.Config)
	keptBy := filepath.Join(dir, "kept", paths.State, "generations/7")
	for _, made := range []string{filepath.Dir(usual), filepath.Dir(kept), keptBy} {
		if err := os.MkdirAll(made, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(dir, "web.toml"), filepath.Join(keptBy, "natspread.toml")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("generations/7", filepath.Join(dir, "kept", paths.Current)); err != nil {
		t.Fatal(err)
	}
	missing := []string{"missing", "missing by default", "deleted", "misspelt", "control in name"}
	for name, tt := range map[string]struct{ path, want string }{
		"missing":            {filepath.Join(dir, "none"), "none: file does not exist"},
		"missing by default": {usual, "file does not exist; fix: natspread init"},
		"deleted":            {kept, "file does not exist; fix: cp " + filepath.Join(dir, "kept", paths.Current, "natspread.toml") + " " + kept},
		"misspelt":           {filepath.Join(dir, "wbe.toml"), "file does not exist: did you mean " + filepath.Join(dir, "web.toml") + "?"},
		"directory":          {dir, "it is a directory"},
		"FIFO":               {fifo, "it is a FIFO"},
		"link to a FIFO":     {link, "it is a FIFO"},
		"device":             {"/dev/zero", "it is a device"},
		"socket":             {socket, "cannot read config"},
		"100 MB":             {huge, "larger than 16 MiB"},
		"below a file":       {filepath.Join(huge, "x"), "not a directory"},
		"control in name":    {filepath.Join(dir, "a\x1b[2J"), `a\x1b[2J`},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Read(tt.path, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "cannot read config ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %d bytes and error %v, want one about %q", len(data), err, tt.want)
			}
			if errors.Is(err, fs.ErrNotExist) != slices.Contains(missing, name) {
				t.Errorf("the error %v is fs.ErrNotExist at the wrong time", err)
			}
		})
	}
}

// TestReadFile reads a file and a link to it, whole.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "natspread.toml"), filepath.Join(dir, "link")
	want := bytes.Repeat([]byte("#\n"), config.MaxSize/2)
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		if got, err := Read(name, nil); err != nil || !bytes.Equal(got.Main(), want) {
			t.Errorf("Read(%s) returned %d bytes and %v, want %d", name, got.Size(), err, len(want))
		}
	}
}

// TestReadStdin takes "-" for stdin, and no more of it than config.MaxSize.
func TestReadStdin(t *testing.T) {
	if got, err := Read("-", strings.NewReader(oneService)); err != nil || string(got.Main()) != oneService {
		t.Errorf("got %q and %v", got, err)
	}
	if _, err := Read("-", io.LimitReader(zeros{}, config.MaxSize)); err != nil {
		t.Errorf("config.MaxSize bytes: %v", err)
	}
	if _, err := Read("-", zeros{}); err == nil || !strings.Contains(err.Error(), "stdin: it is larger than 16 MiB") {
		t.Errorf("endless stdin: %v", err)
	}
	if _, err := Read("-", iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("broken stdin: %v", err)
	}
}

// zeros never ends.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
