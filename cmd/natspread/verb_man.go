package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/docs/man"
	"natspread/internal/cmdline"
)

// manVerb describes man.
func (s *session) manVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:        "man",
		Usage:       "print the manual: of the program, natspread.toml or JSON",
		ArgsUsage:   "[PAGE]",
		Description: "The pages are natspread, natspread.toml and natspread-json, as for man(1).",
	}, "natspread man natspread.toml", readMan, s.man)
}

// readMan reads the name of the page.
func readMan(c *cli.Context) (page string, err error) {
	page = cmp.Or(c.Args().First(), man.Pages()[0])
	if !slices.Contains(man.Pages(), page) {
		err = cmdline.UsageErrorf("there is no page %q; the pages are %s", page, strings.Join(man.Pages(), ", "))
	}
	return page, err
}

// manResult is what man prints with --json.
type manResult struct {
	Page string `json:"page"`
	Text string `json:"text"`
}

// man prints a page.
func (s *session) man(_ context.Context, page string) error {
	text := man.Text(page, s.Screen().Bold)
	return s.Answer(manResult{page, text}, text)
}
