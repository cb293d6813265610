package iptables_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
)

// saying returns a Runner for which every program says the same, and fails the
// test when it may not run.
func saying(t *testing.T, said string, may bool) program.Runner {
	return func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
		if !may || len(args) != 1 || args[0] != "--version" {
			t.Errorf("%s %q was run", name, args)
		}
		return []byte(said), nil
	}
}

func TestDetectVariant(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	// Directories of the test's own in the place of the host's.
	hosttest.Must(t, unix.Mount("none", "/usr/sbin", "tmpfs", 0, ""))
	hosttest.Must(t, unix.Mount("none", "/etc/alternatives", "tmpfs", 0, ""))
	for _, c := range []struct {
		name  string
		links map[string]string
		said  string // by --version, if it has to be asked
		want  rules.Variant
	}{
		{"Debian's default", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-nft-restore",
			"/usr/sbin/iptables-nft-restore":     "xtables-nft-multi",
		}, "", rules.NFT},
		{"the administrator's choice", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-legacy-restore",
		}, "", rules.Legacy},
		{"Fedora", map[string]string{"/usr/sbin/iptables-restore": "xtables-nft-multi"}, "", rules.NFT},
		{"no link", map[string]string{"/usr/sbin/iptables-restore": ""}, "iptables-restore v1.8.9 (nf_tables)\n", rules.NFT},
		{"no link, legacy", map[string]string{"/usr/sbin/iptables-restore": ""}, "iptables-restore v1.8.9 (legacy)\n", rules.Legacy},
		{"before nft", map[string]string{"/usr/sbin/iptables-restore": "xtables-multi"}, "iptables-restore v1.4.21\n", rules.Legacy},
		{"a circle", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-restore",
		}, "v1.8.9 (nf_tables)", rules.NFT},
	} {
		t.Run(c.name, func(t *testing.T) {
			link(t, "/", c.links)
			got, err := iptables.DetectVariant(t.Context(), saying(t, c.said, c.said != ""))
			if got != c.want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		_, err := iptables.DetectVariant(t.Context(), saying(t, "", false))
		if !errors.Is(err, program.ErrMissing) || !strings.Contains(err.Error(), "install iptables") {
			t.Errorf("%v", err)
		}
	})
}

// link makes links below a root, or with an empty target files, until the test
// ends.
func link(t *testing.T, root string, links map[string]string) {
	t.Helper()
	for path, target := range links {
		path = filepath.Join(root, path)
		hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target == "" {
			hosttest.Must(t, os.WriteFile(path, nil, 0o755))
		} else {
			hosttest.Must(t, os.Symlink(target, path))
		}
		t.Cleanup(func() { hosttest.Must(t, os.Remove(path)) })
	}
}

// TestImageVariant reads links that are absolute, and meant below the image's root.
func TestImageVariant(t *testing.T) {
	for _, c := range []struct {
		name  string
		links map[string]string
		want  rules.Variant
	}{
		{"legacy", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-legacy-restore",
		}, rules.Legacy},
		{"nft", map[string]string{
			"/sbin/iptables-restore":             "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-nft-restore",
		}, rules.NFT},
		{"relative", map[string]string{
			"/usr/sbin/iptables-restore":         "../../etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "../../usr/sbin/iptables-legacy-restore",
		}, rules.Legacy},
		{"nothing", nil, rules.NFT},
		{"no link", map[string]string{"/usr/sbin/iptables-restore": ""}, rules.NFT},
		{"a dangling link", map[string]string{"/usr/sbin/iptables-restore": "/etc/alternatives/iptables-restore"}, rules.NFT},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			link(t, root, c.links)
			if got := iptables.ImageVariant(root); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
