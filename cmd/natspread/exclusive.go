package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/iptables"
)

// exclusively adds to a request that the whole nat table is to be replaced, if that is
// asked for, and agreed to once it is listed what would vanish.
func (s *session) exclusively(ctx context.Context, o options, c checked, request restore.Request) (restore.Request, error) {
	if !o.exclusive {
		return request, nil
	}
	foreign, err := s.host(o).Foreign(ctx, c.tables)
	if err != nil {
		return request, err
	}
	request.Exclusive = &foreign
	if foreign.Len() == 0 {
		return request, nil
	}
	s.tell(o, "apply --exclusive removes what is not natspread's from the nat table, %s:", plural(foreign.Len(), "line"))
	for _, line := range removedLines(foreign) {
		s.tell(o, "%s", oneLine(line))
	}
	if o.dryRun || o.yes {
		return request, nil
	}
	return request, s.agree(ctx, o)
}

// removedLines returns what vanishes with the family before each line.
func removedLines(foreign iptables.Foreign) []string {
	var lines []string
	for _, family := range rules.Families() {
		for _, line := range foreign.Of(family) {
			lines = append(lines, fmt.Sprintf("%v: %s", family, line))
		}
	}
	return lines
}

// errNotAgreed says that the administrator did not want it.
var errNotAgreed = errors.New("not agreed to; nothing was changed")

// agree asks whether to go on: one who sees the list and can answer, and else nobody. An
// interruption is an answer, too.
func (s *session) agree(ctx context.Context, o options) error {
	if o.quiet || !isTerminal(s.in) || !isTerminal(s.err) {
		return usageErrorf("apply --exclusive removes rules that are not natspread's, and there is no terminal to ask at: add --yes; nothing was changed")
	}
	fmt.Fprint(s.err, "remove them? [y/N] ")
	var answer string
	answered := make(chan error, 1)
	go func() { // no signal ends the read
		var err error
		answer, err = bufio.NewReader(s.in).ReadString('\n')
		answered <- err
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.err)
		return errNotAgreed
	case err := <-answered:
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("cannot read the answer: %w; nothing was changed", err)
		}
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errNotAgreed
}
