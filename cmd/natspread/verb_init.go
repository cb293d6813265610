package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config/edit"
	"natspread/internal/paths"
	"natspread/internal/program"
)

// initVerb describes init.
func (s *session) initVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:        "init",
		Usage:       "write a commented config, from flags or as an example",
		Description: "An existing config is never overwritten. --config - prints the new one instead.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDRESS:PORT`; may be given again"},
			&cli.StringSliceFlag{Name: "backend", Usage: "send connections to `ADDRESS:PORT`; may be given again"},
			&cli.StringFlag{Name: "snat", Usage: "rewrite the source: `SNAT` is masquerade, none or an address"},
		},
	}, "natspread init --listen 192.0.2.10:80 --backend 10.0.0.1 --backend 10.0.0.2", readInit, s.init)
}

// initOptions are the flags of init.
type initOptions struct {
	listen, backends []string
	snat             string
}

// readInit reads them.
func readInit(c *cli.Context) (initOptions, error) {
	return initOptions{listen: c.StringSlice("listen"), backends: c.StringSlice("backend"), snat: c.String("snat")}, nil
}

// initResult is what init prints with --json.
type initResult struct {
	Changed bool   `json:"changed"`        // false where the config was printed
	Config  string `json:"config"`         // where the config was written
	Text    string `json:"text,omitempty"` // the config itself, where it was to be printed
}

// init writes the config.
func (s *session) init(_ context.Context, o initOptions) error {
	text, err := newConfig(o)
	if err != nil {
		return err
	}
	if s.config == "-" {
		return s.Answer(initResult{Config: "stdout", Text: string(text)}, string(text))
	}
	if err := change.Create(s.config, text); err != nil {
		return nothingChanged(err)
	}
	s.Printf("wrote %s: %srun natspread %scheck", s.config, o.next(), s.sameFlags())
	return s.Answer(initResult{Changed: true, Config: s.config}, "")
}

// next says what is to be done before the new config is checked: nothing where flags said what it
// has to say.
func (o initOptions) next() string {
	if len(o.listen) > 0 && len(o.backends) > 0 {
		return ""
	}
	return "edit it, then "
}

// newConfig returns the text for a new config. A wrong flag is wrong usage, said
// in the words that the same value in a config would get.
func newConfig(o initOptions) ([]byte, error) {
	text, err := edit.Compose(o.listen, o.backends, o.snat)
	return withSchema(text), cmdline.Coded(exitUsage, err)
}

// withSchema has the first line of a config, which is for editors, lead to the JSON Schema that was
// installed with this program, if that is not where the package puts it.
func withSchema(text []byte) []byte {
	self, err := program.Path()
	if err != nil {
		return text
	}
	schema := filepath.Join(filepath.Dir(filepath.Dir(self)), paths.Schema)
	if _, err := os.Stat(schema); err != nil {
		return text
	}
	return bytes.Replace(text, []byte("/usr/"+paths.Schema), []byte(schema), 1)
}
