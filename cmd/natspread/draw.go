package main

import (
	"context"
	"fmt"

	"natspread/internal/change"
	"natspread/internal/program"
	"natspread/internal/trace"
)

// draw prints the chains of a family as a graph or as a picture.
func (s *session) draw(ctx context.Context, o renderOptions, plan change.Plan) error {
	result := renderResult{Family: o.family.String()}
	graph := trace.Dot(o.table(plan))
	if o.svg {
		s.doing("drawing")
		picture, err := program.Draw(ctx, s.traced(), graph)
		if err != nil {
			return fmt.Errorf("cannot draw the chains: %w: natspread render --dot prints the graph itself", err)
		}
		result.SVG = string(picture)
	} else {
		result.Dot = string(graph)
	}
	return s.answer(result, result.Dot+result.SVG)
}
