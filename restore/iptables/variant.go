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

// DetectVariant returns the variant behind the host's own iptables-restore, from
// the names of its links, and if they do not tell, from what it says of itself.
func DetectVariant(ctx context.Context, run program.Runner) (rules.Variant, error) {
	path := program.Find("/", rules.Program(rules.IPv4, "", "restore"))
	if path == "" {
		return "", fmt.Errorf("cannot find iptables-restore in %s: %w: install iptables", strings.Join(program.Dirs(), ", "), program.ErrMissing)
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
	path := program.Find(root, rules.Program(rules.IPv4, "", "restore"))
	if path == "" {
		return rules.NFT
	}
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
