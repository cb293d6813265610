package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/completion/scripts"
	"natspread/internal/config"
	"natspread/internal/text"
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
	return s.answer(completionResult{lines}, strings.Join(append(lines, ""), "\n"))
}

// completionLines returns the lines of a shell's script, or the names of a kind.
func (s *session) completionLines(of string) ([]string, error) {
	switch of {
	case "bash", "zsh", "fish":
		return strings.Split(strings.TrimSuffix(scripts.Of(of), "\n"), "\n"), nil
	case "services":
		return s.configNames(func(service config.Service) []string { return []string{service.Name} })
	case "backends":
		return s.configNames(func(service config.Service) []string { return text.Strings(service.Backends) })
	case "files":
		files, err := s.readConfig()
		return files.Names(), err
	case "generations":
		return s.generationNumbers()
	}
	return nil, cmdline.UsageErrorf("completion knows no %q: give bash, zsh, fish, services, backends, files or generations", of)
}

// configNames returns what the services of the config have, each name once.
func (s *session) configNames(of func(config.Service) []string) ([]string, error) {
	plan, err := s.load()
	var names []string
	for _, service := range plan.Config.Services {
		names = append(names, of(service)...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// generationNumbers returns those that can be applied again, the newest first.
func (s *session) generationNumbers() ([]string, error) {
	entries, err := s.store().History()
	var numbers []string
	for _, entry := range entries {
		if entry.Problem == nil {
			numbers = append(numbers, strconv.Itoa(entry.Number))
		}
	}
	return numbers, err
}
