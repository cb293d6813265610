package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
)

// versionVerb describes version.
func (s *session) versionVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "version",
		Usage: "print the version",
	}, "natspread version --json", cmdline.ReadNone, s.version)
}

// versionResult is what version prints with --json.
type versionResult struct {
	Version  string `json:"version"`
	Go       string `json:"go"`       // that it was built with
	Platform string `json:"platform"` // linux/amd64
}

// version prints it.
func (s *session) version(_ context.Context, _ cmdline.None) error {
	result := versionResult{Version: version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	return s.Answer(result, fmt.Sprintf("natspread %s (%s, %s)\n", result.Version, result.Go, result.Platform))
}

// version returns the version that the build wrote into the program, "devel"
// for one built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if stamped := buildVersion; stamped != "" {
		return stamped
	}
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// buildVersion is set by the linker: -X main.buildVersion=1.2.3.
var buildVersion string
