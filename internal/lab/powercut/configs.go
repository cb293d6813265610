package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore/generation"
)

// pattern is a config of both families; PORT, FORWARD and CLAMP are where the two configs
// differ, in each family, so that a mixture of them is seen. With the one a generation
// has files of the filter and mangle tables and of conf.d, too, and with the other none.
const pattern = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:PORT", "10.0.0.2:PORT", "10.0.0.3:PORT"]
forward = "FORWARD"
clamp_mss = CLAMP

[[service]]
name = "web6"
listen = "[2001:db8::10]:80"
backends = ["[2001:db8:1::1]:PORT", "[2001:db8:1::2]:PORT"]
forward = "FORWARD"
clamp_mss = CLAMP
`

// choice is one of the two configs that apply alternates between.
type choice struct {
	file   string // its path, outside the disk
	files  configfiles.Set
	tables rules.Tables
}

// writeConfigs writes both configs into a directory.
func writeConfigs(dir string) (configs [2]choice, err error) {
	for i, one := range []struct{ port, forward, clamp string }{{"8080", "accept", "true"}, {"9090", "leave", "false"}} {
		text := strings.NewReplacer("PORT", one.port, "FORWARD", one.forward, "CLAMP", one.clamp).Replace(pattern)
		c := choice{file: filepath.Join(dir, one.port, configfiles.Main)}
		c.files = configfiles.Alone(c.file, []byte(text))
		if one.forward == "accept" {
			second := strings.LastIndex(text, "[[service]]")
			name := configfiles.Dir + "/web6.toml"
			c.files[0].Text = []byte(text[:second])
			c.files = append(c.files, configfiles.File{Name: name, Path: filepath.Join(dir, one.port, name), Text: []byte(text[second:])})
		}
		parsed, err := config.ParseSet(c.files)
		if err != nil {
			return configs, err
		}
		c.tables = rules.Tables(render.New(parsed))
		for _, f := range c.files {
			if err := atomicfile.CreateAll(f.Path, f.Text, 0o600); err != nil {
				return configs, err
			}
		}
		configs[i] = c
	}
	return configs, nil
}

// which tells which config a generation was made from, after checking that it is
// one of the two and that all of its tables are that one's.
func which(configs [2]choice, found generation.Generation) (int, error) {
	for i, c := range configs {
		if !found.MadeFrom(c.files) {
			continue
		}
		holds := found.Tables.All()
		for at, table := range c.tables.All() {
			if !bytes.Equal(table.Text(), holds[at].Text()) {
				return i, fmt.Errorf("generation %d has not the %s rules of its own config", found.Number, table.String())
			}
		}
		return i, nil
	}
	return 0, fmt.Errorf("generation %d is of a config that was never applied", found.Number)
}
