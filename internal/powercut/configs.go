package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"natspread/config"
	"natspread/nat"
	"natspread/render"
	"natspread/restore"
)

// pattern is a config of both families; PORT is where the two configs differ, once
// in each family, so that a mixture of them is seen.
const pattern = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:PORT", "10.0.0.2:PORT", "10.0.0.3:PORT"]

[[service]]
name = "web6"
listen = "[2001:db8::10]:80"
backends = ["[2001:db8:1::1]:PORT", "[2001:db8:1::2]:PORT"]
`

// choice is one of the two configs that apply alternates between.
type choice struct {
	file   string // its path, outside the disk
	text   []byte
	tables [2]nat.Table // by family
}

// writeConfigs writes both configs into a directory.
func writeConfigs(dir string) (configs [2]choice, err error) {
	for i, port := range []string{"8080", "9090"} {
		c := choice{
			file: filepath.Join(dir, port+".toml"),
			text: []byte(strings.ReplaceAll(pattern, "PORT", port)),
		}
		parsed, err := config.Parse(c.file, c.text)
		if err != nil {
			return configs, err
		}
		for _, family := range nat.Families() {
			c.tables[family] = render.New(parsed).Table(family)
		}
		if err := os.WriteFile(c.file, c.text, 0o600); err != nil {
			return configs, err
		}
		configs[i] = c
	}
	return configs, nil
}

// which tells which config a generation was made from, after checking that it is
// one of the two and that the rules of both families are that one's.
func which(configs [2]choice, found restore.Generation) (int, error) {
	for i, c := range configs {
		if !bytes.Equal(c.text, found.Config) {
			continue
		}
		for _, family := range nat.Families() {
			if !bytes.Equal(c.tables[family].Text(), found.Tables.Of(family).Text()) {
				return i, fmt.Errorf("generation %d has not the %v rules of its own config", found.Generation, family)
			}
		}
		return i, nil
	}
	return 0, fmt.Errorf("generation %d is of a config that was never applied", found.Generation)
}
