package iptables

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"natspread/internal/program"
	"natspread/internal/rules"
)

// programDirs is where the iptables programs are looked for: fixed, so that no
// one's PATH decides what is handed the rules.
var programDirs = []string{"/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"}

// FindProgram returns the absolute path of a program below root, or "".
func FindProgram(root, name string) string {
	for _, dir := range programDirs {
		path := filepath.Join(dir, name)
		// Lstat: below a foreign root the links of alternatives are absolute.
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			return path
		}
	}
	return ""
}

// DetectVariant returns the variant behind the host's own iptables-restore, from
// the names of its links, and if they do not tell, from what it says of itself.
func DetectVariant(ctx context.Context, run program.Runner) (rules.Variant, error) {
	path := FindProgram("/", rules.Program(rules.IPv4, "", "restore"))
	if path == "" {
		return "", fmt.Errorf("cannot find iptables-restore in %s: %w: install iptables", strings.Join(programDirs, ", "), program.ErrMissing)
	}
	if variant := variantOfLinks("/", path); variant != "" {
		return variant, nil
	}
	said, err := run(ctx, nil, path, "--version")
	if err != nil {
		return "", fmt.Errorf("cannot tell the variant of iptables: %w", err)
	}
	if strings.Contains(string(said), "nf_tables") {
		return rules.NFT, nil
	}
	return rules.Legacy, nil // before the nft variant there was no word for it
}

// ImageVariant returns the variant that an image below root will boot with, as
// far as its links tell; nft, the default of every release of Debian since 10,
// when they do not.
func ImageVariant(root string) rules.Variant {
	path := FindProgram(root, rules.Program(rules.IPv4, "", "restore"))
	if variant := variantOfLinks(root, path); variant != "" {
		return variant
	}
	return rules.NFT
}

// variantOfLinks follows the links of a program below root and returns the
// variant that one of their names tells, or "".
func variantOfLinks(root, path string) rules.Variant {
	const most = 8 // links that a chain may have before it is taken for a circle
	for range most {
		switch name := filepath.Base(path); {
		case strings.Contains(name, "-nft"):
			return rules.NFT
		case strings.Contains(name, "-legacy"):
			return rules.Legacy
		}
		target, err := os.Readlink(filepath.Join(root, path))
		if err != nil {
			return ""
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return ""
}
