package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/diff"

	"natspread/internal/rules"
)

// compareSaved compares a file of iptables-save with what a config wants.
func (s *session) compareSaved(_ context.Context, o options, c checked) (result diffResult, err error) {
	text, err := s.readSaved(o.saved)
	if err != nil {
		return result, fmt.Errorf("cannot read --saved %s: %w", o.saved, err)
	}
	for _, table := range []rules.Table{c.tables.Of(o.family()), c.tables.Filter(o.family())} {
		saved, err := rules.ParseSaved(table.Name, text)
		if table.Name == rules.Filter && errors.Is(err, rules.ErrNoTable) { // iptables-save prints what there is
			saved, err = rules.Saved{Name: table.Name}, nil
		}
		if err != nil {
			return result, fmt.Errorf("cannot read --saved %s: %w: write it with iptables-save", o.saved, err)
		}
		result.add(diff.Diff(o.saved, saved.OwnText(), c.name+" "+table.String(), table.Text()))
	}
	result.unnamed = errSilent // nobody expects a file of rules to name services
	return result, nil
}

// maxSaved bounds a file of iptables-save: 10,000 services of three backends are
// 8 MB.
const maxSaved = 64 << 20

// readSaved reads a file of iptables-save, also a FIFO, as in
// --saved <(ssh HOST iptables-save).
func (s *session) readSaved(name string) ([]byte, error) {
	in := s.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, cause(err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSaved+1))
	if err == nil && len(text) > maxSaved {
		err = fmt.Errorf("it is larger than %d MiB", maxSaved>>20)
	}
	return text, cause(err)
}
