// Package change turns the text of a config into what restore can apply, and edits a
// config file, applies it and puts the file back, as one step.
package change

import (
	"io"
	"time"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
	"natspread/render"
	"natspread/restore"
)

// Plan is a config that was read and found good, and what it leads to.
type Plan struct {
	Name   string // where it was read
	Text   []byte
	Config config.Config
	Tables rules.Tables
}

// Summary counts what is in the config: 2 services, 5 backends.
func (p Plan) Summary() string {
	return text.Plural(len(p.Config.Services), "service") + ", " + text.Plural(p.Config.CountBackends(), "backend")
}

// Load reads a config from a file, or from stdin for "-", checks it and plans its tables.
// A config that cannot be read is an *UnreadError, a wrong one config.Errors.
func Load(path string, stdin io.Reader) (Plan, error) {
	data, err := Read(path, stdin)
	if err != nil {
		return Plan{}, &UnreadError{err}
	}
	name := path
	if name == "-" {
		name = "stdin"
	}
	return Parse(name, data)
}

// UnreadError says that a config could not be read at all.
type UnreadError struct{ error }

// Unwrap returns the error inside.
func (e *UnreadError) Unwrap() error { return e.error }

// Parse checks the text of a config and plans its tables.
func Parse(name string, text []byte) (Plan, error) {
	cfg, err := config.Parse(name, text)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Name: name, Text: text, Config: cfg, Tables: render.New(cfg)}, nil
}

// Request asks restore to load a config's rules and keep them. The command is the verb, for
// the generation's manifest.
func (p Plan) Request(command string) restore.Request {
	return restore.Request{
		Tables: p.Tables, Services: rules.EncodeServices(render.VirtualServices(p.Config.Services...)),
		Config: p.Text, Command: command, Now: time.Now(),
	}
}
