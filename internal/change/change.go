// Package change turns the text of a config into what restore can apply, and edits a
// config file, applies it and puts the file back, as one step.
package change

import (
	"io"
	"time"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/rules"
	"natspread/internal/text"
	"natspread/render"
	"natspread/restore"
)

// Plan is a config that was read and found good, and what it leads to.
type Plan struct {
	Name   string // of the config that was read
	Files  configfiles.Set
	Config config.Config
	Tables rules.Tables
}

// Where says which files were read: the name, and how many others.
func (p Plan) Where() string {
	others := len(p.Files) - 1
	if p.Files.At(configfiles.Main) < 0 {
		return text.Plural(len(p.Files), "file") + " of " + Place(p.Name, configfiles.Dir)
	}
	if others == 0 {
		return p.Name
	}
	return p.Name + " and " + text.Plural(others, "file") + " of " + configfiles.Dir
}

// Summary counts what is in the config: 2 services, 5 backends.
func (p Plan) Summary() string {
	return text.Plural(len(p.Config.Services), "service") + ", " + text.Plural(p.Config.CountBackends(), "backend")
}

// Load reads a config as Read does, checks it and plans its tables.
// A config that cannot be read is an *UnreadError, a wrong one config.Errors.
func Load(path string, stdin io.Reader) (Plan, error) {
	files, err := Read(path, stdin)
	if err != nil {
		return Plan{}, &UnreadError{err}
	}
	name := path
	if name == "-" {
		name = "stdin"
	}
	return Parse(name, files)
}

// UnreadError says that a config could not be read at all.
type UnreadError struct{ error }

// Unwrap returns the error inside.
func (e *UnreadError) Unwrap() error { return e.error }

// Parse checks the files of a config, which people call name, and plans its tables.
func Parse(name string, files configfiles.Set) (Plan, error) {
	cfg, err := config.ParseSet(files)
	if err != nil {
		return Plan{}, err
	}
	return Plan{Name: name, Files: files, Config: cfg, Tables: render.New(cfg)}, nil
}

// Request asks restore to load a config's rules and keep them. The command is the verb, for
// the generation's manifest.
func (p Plan) Request(command string) restore.Request {
	return restore.Request{
		Tables: p.Tables, Services: rules.EncodeServices(render.VirtualServices(p.Config.Services...)),
		Config: p.Files, Command: command, Now: time.Now(),
	}
}
