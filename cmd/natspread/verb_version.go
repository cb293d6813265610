package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

// versionVerb describes version.
func (s *session) versionVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "version",
		Usage: "print the version",
	}, "natspread version --json", s.version)
}

// version prints it.
func (s *session) version(_ context.Context, o options) error {
	if o.json {
		return s.printJSON(map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
	}
	return s.print(fmt.Sprintf("natspread %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH))
}
