package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/completion/scripts"
	"natspread/internal/config"
	"natspread/internal/config/edit"
)

// completionVerb describes completion.
func (s *session) completionVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "completion",
		Usage:     "print the completion for bash, zsh or fish",
		ArgsUsage: "SHELL|NAMES [NAMES]",
		Description: "services, backends, files or generations instead of a shell lists those that\n" +
			"there are, a line each. The completions ask this way.",
	}, "natspread completion bash\n  natspread completion services", readCompletion, s.completion)
}

// readCompletion reads what is to be printed.
func readCompletion(c *cli.Context) ([]string, error) { return c.Args().Slice(), nil }

// completionResult is what completion prints with --json.
type completionResult struct {
	Lines []string `json:"lines"`
}

// completion prints a shell's script, or names.
func (s *session) completion(_ context.Context, of []string) error {
	lines := []string{}
	for _, word := range of {
		names, err := s.completionLines(word)
		if err != nil {
			return err
		}
		lines = append(lines, names...)
	}
	return s.Answer(completionResult{lines}, strings.Join(append(lines, ""), "\n"))
}

// completionLines returns the lines of a shell's script, or the names of a kind.
func (s *session) completionLines(of string) ([]string, error) {
	switch of {
	case "bash", "zsh", "fish":
		return strings.Split(strings.TrimSuffix(scripts.Of(of), "\n"), "\n"), nil
	case "services":
		return s.configNames(edit.ServiceNames)
	case "backends":
		return s.configNames(edit.BackendNames)
	case "files":
		files, err := s.readConfig()
		return files.Names(), err
	case "generations":
		return s.store().GoodNumbers()
	}
	return nil, cmdline.UsageErrorf("completion knows no %q: give bash, zsh, fish, services, backends, files or generations", of)
}

// configNames returns names in the config.
func (s *session) configNames(of func(config.Config) []string) ([]string, error) {
	plan, err := s.load()
	return of(plan.Config), err
}
