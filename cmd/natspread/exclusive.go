package main

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/text"
	"natspread/restore"
)

// confirmExclusive adds to a request that the whole nat table is to be replaced, if that is
// asked for, and confirmed once it is listed what would vanish.
func (s *session) confirmExclusive(ctx context.Context, o applyOptions, plan change.Plan, request restore.Request) (restore.Request, error) {
	if !o.exclusive {
		return request, nil
	}
	foreign, err := s.host().Foreign(ctx, plan.Tables)
	if err != nil {
		return request, err
	}
	request.Exclusive = &foreign
	if foreign.Len() == 0 {
		return request, nil
	}
	s.Printf("apply --exclusive removes what is not natspread's from the nat table, %s:", text.Plural(foreign.Len(), "line"))
	s.PrintLines(foreign.Lines())
	if o.dryRun || o.yes {
		return request, nil
	}
	return request, s.ask(ctx, "remove them?", cmdline.UsageErrorf("apply --exclusive removes rules that are not natspread's, and there is no terminal to ask at: add --yes; nothing was changed"))
}

// askLogin asks whether a config is to be loaded that takes the port of the ssh connection
// over which natspread was started; taken says so, and is "" where it does not. A trial needs
// no question: it is reverted when nobody can confirm it.
func (s *session) askLogin(ctx context.Context, taken string) error {
	if taken == "" {
		return nil
	}
	if s.Asks() {
		s.Printf("%s", text.OneLine(taken))
	}
	return s.ask(ctx, "load it?", fmt.Errorf("%s, and there is no terminal to ask at: try it with natspread apply --confirm 60s, or add --yes; nothing was changed", taken))
}

// errNotConfirmed says that the administrator did not want it.
var errNotConfirmed = errors.New("not confirmed; nothing was changed")

// ask asks a question of one who can answer, and is an error, nobody, where there is none.
// An interruption is an answer, too.
func (s *session) ask(ctx context.Context, question string, nobody error) error {
	if !s.Asks() {
		return nobody
	}
	yes, err := s.Ask(ctx, question)
	switch {
	case err != nil:
		return nothingChanged(err)
	case !yes:
		return errNotConfirmed
	}
	return nil
}
