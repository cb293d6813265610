package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

// versionVerb describes version.
func (s *session) versionVerb() *cli.Command {
	return verb(s, &cli.Command{
		Name:  "version",
		Usage: "print the version",
	}, "natspread version --json", readNone, s.version)
}

// versionResult is what version prints with --json.
type versionResult struct {
	Version  string `json:"version"`
	Go       string `json:"go"`       // that it was built with
	Platform string `json:"platform"` // linux/amd64
}

// version prints it.
func (s *session) version(_ context.Context, _ noOptions) error {
	result := versionResult{Version: version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if s.json {
		return s.printJSON(result)
	}
	return s.print(fmt.Sprintf("natspread %s (%s, %s)\n", result.Version, result.Go, result.Platform))
}
