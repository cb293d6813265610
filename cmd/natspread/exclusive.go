package main

import (
	"context"
	"errors"

	"natspread/internal/change"
	"natspread/internal/terminal"
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
	s.printf("apply --exclusive removes what is not natspread's from the nat table, %s:", text.Plural(foreign.Len(), "line"))
	for _, line := range removedLines(foreign) {
		s.printf("%s", text.OneLine(line))
	}
	if o.dryRun || o.yes {
		return request, nil
	}
	return request, s.ask(ctx)
}

// errNotConfirmed says that the administrator did not want it.
var errNotConfirmed = errors.New("not confirmed; nothing was changed")

// ask asks whether to go on: one who sees the list and can answer, and else nobody. An
// interruption is an answer, too.
func (s *session) ask(ctx context.Context) error {
	if s.quiet || !terminal.Is(s.in) || !terminal.Is(s.err) {
		return usageErrorf("apply --exclusive removes rules that are not natspread's, and there is no terminal to ask at: add --yes; nothing was changed")
	}
	yes, err := terminal.Ask(ctx, s.in, s.err, "remove them?")
	switch {
	case err != nil:
		return nothingChanged(err)
	case !yes:
		return errNotConfirmed
	}
	return nil
}
