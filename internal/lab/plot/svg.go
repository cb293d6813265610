package plot

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Where things stand, in the picture's own units.
const (
	width, height = 960, 514
	top, bottom   = 112, 412 // of the axes
	left          = 58       // of the first panel's axes
	across        = 234      // the width of a panel's axes
	panelDistance = 476
	labelDistance = 21  // from the end of a line to its label
	labelSpace    = 39  // what a label of two lines takes
	passes        = 100 // over the labels, until each has its space
	marker        = 4.5
	shownAs       = 1316      // points: the width of docs/service.svg
	below, above  = 0.5, 1.15 // how far the scale of costs goes on, so that labels are beside lines
)

// style is for light and dark backgrounds. A reader may have his program show the picture on either; it brings
// its own background. Each colour of a line is also that of its label.
const style = `
text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; font-size: 14px }
.title { font-size: 21px; font-weight: 600 }
.head { font-size: 15px; font-weight: 600 }
.label { font-weight: 600 }
.small { font-size: 11.5px }
.ground { fill: #ffffff } .ink { fill: #1f2328 } .dim { fill: #59636e }
.grid { stroke: #d1d9e0 } .axis { stroke: #818b98 } .edge { stroke: #ffffff }
.line0 { color: #0550ae } .line1 { color: #8250df } .line2 { color: #b31d28 } .line3 { color: #116329 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } .ink { fill: #f0f6fc } .dim { fill: #9198a1 }
.grid { stroke: #2a313c } .axis { stroke: #656c76 } .edge { stroke: #0d1117 }
.line0 { color: #58a6ff } .line1 { color: #d2a8ff } .line2 { color: #ff9d8a } .line3 { color: #56d364 }
}
`

// look is how a line is told apart without its colour.
type look struct {
	dash   string
	width  float64
	marker string // a path around 0,0
}

// looks are those of the lines, by their places.
func looks() []look {
	return []look{
		{"none", 3, "M-%[1]g,0A%[1]g,%[1]g 0 1 0 %[1]g,0A%[1]g,%[1]g 0 1 0 -%[1]g,0Z"},
		{"10 4", 2, "M-%[1]g,-%[1]gH%[1]gV%[1]gH-%[1]gZ"},
		{"10 3 2 3", 2, "M0,-%[1]gL%[1]g,%[1]gH-%[1]gZ"},
		{"3 3", 2, "M0,-%[1]gL%[1]g,0L0,%[1]gL-%[1]g,0Z"},
	}
}

// SVG draws the chart, the same bytes each time. It needs no script and no font of its own.
func (c Chart) SVG() []byte {
	p := &paper{scales: c.scales()}
	p.write(`<svg xmlns="http://www.w3.org/2000/svg" width="%dpt" height="%dpt" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`,
		shownAs, shownAs*height/width, width, height)
	p.write(`<title id="title">%s</title>`, escape(c.Title))
	p.write(`<desc id="desc">%s</desc>`, escape(c.words()))
	p.write(`<style>%s</style>`, style)
	p.write(`<rect class="ground" width="%d" height="%d" rx="6"/>`, width, height)
	p.text("ink title", left, 36, "start", c.Title)
	p.text("dim", left, 60, "start", c.About)
	for i, panel := range c.Panels {
		p.left = float64(left + i*panelDistance)
		p.panel(panel)
	}
	p.text("dim small", left, height-30, "start", c.Source)
	p.text("dim small", left, height-14, "start", c.Machine)
	p.write(`</svg>`)
	return []byte(p.String())
}

// words says the figures, for who cannot see the picture.
func (c Chart) words() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n", c.About)
	for _, panel := range c.Panels {
		fmt.Fprintf(&b, "%s:\n", panel.Title)
		for _, line := range panel.Lines {
			var figures []string
			for _, point := range line.Points {
				figures = append(figures, fmt.Sprintf("%.2f µs of %s", point.Cost, thousands(point.Services)))
			}
			fmt.Fprintf(&b, "%s: %s.\n", line.Label, strings.Join(figures, ", "))
		}
	}
	return b.String() + c.Source + ".\n" + c.Machine + "."
}

// scales say where a figure stands: both axes are logarithmic.
type scales struct {
	most      float64 // services; the fewest are 1
	low, high float64 // µs
}

// scales are those that all panels share.
func (c Chart) scales() scales {
	s := scales{low: math.Inf(1)}
	for _, panel := range c.Panels {
		for _, line := range panel.Lines {
			for _, point := range line.Points {
				s.most = max(s.most, float64(point.Services))
				s.low, s.high = min(s.low, point.Cost), max(s.high, point.Cost)
			}
		}
	}
	s.low, s.high = s.low*below, s.high*above
	return s
}

// x is where a number of services stands, from the left end of the axis.
func (s scales) x(services int) float64 {
	return across * math.Log(float64(services)) / math.Log(s.most)
}

// y is where a cost stands.
func (s scales) y(cost float64) float64 {
	return bottom - (bottom-top)*math.Log(cost/s.low)/math.Log(s.high/s.low)
}

// paper is a picture that is being written.
type paper struct {
	strings.Builder
	scales
	left float64 // of the panel
}

// write writes an element.
func (p *paper) write(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

// text writes words.
func (p *paper) text(class string, x, y float64, anchor, words string) {
	p.write(`<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, escape(words))
}

// panel draws one pair of axes with its lines, the first one on top of the others.
func (p *paper) panel(panel Panel) {
	p.text("ink head", p.left, top-16, "start", panel.Title)
	p.axes()
	for i, line := range slices.Backward(panel.Lines) {
		p.line(i, line)
	}
	p.labels(panel.Lines)
}

// axes draws the grid with its numbers.
func (p *paper) axes() {
	for _, cost := range ticks(p.low, p.high) {
		y := p.y(cost)
		p.write(`<path class="grid" d="M%.1f,%.1fh%d"/>`, p.left, y, across)
		p.text("dim", p.left-8, y+5, "end", tickLabel(cost))
	}
	p.write(`<path class="axis" d="M%.1f,%dh%d"/>`, p.left, bottom, across)
	for services := 1; float64(services) <= p.most; services *= 10 {
		x := p.left + p.x(services)
		p.write(`<path class="axis" d="M%.1f,%dv5"/>`, x, bottom)
		p.text("dim", x, bottom+22, "middle", thousands(services))
	}
	p.text("dim", p.left+across/2, bottom+44, "middle", "services")
}

// ticks are the costs that an axis names: 1, 2, 5, 10 and so on.
func ticks(low, high float64) []float64 {
	var all []float64
	for tick, i := 1.0, 0; tick <= high; i++ {
		if tick >= low {
			all = append(all, tick)
		}
		tick *= []float64{2, 2.5, 2}[i%3]
	}
	return all
}

// tickLabel writes the cost of a tick, in few letters.
func tickLabel(cost float64) string {
	if cost < 1000 {
		return fmt.Sprintf("%g µs", cost)
	}
	return fmt.Sprintf("%g ms", cost/1000)
}

// line draws a line with a marker at each figure.
func (p *paper) line(place int, line Line) {
	how := looks()[place]
	var corners []string
	for _, point := range line.Points {
		corners = append(corners, fmt.Sprintf("%.1f,%.1f", p.left+p.x(point.Services), p.y(point.Cost)))
	}
	p.write(`<g class="line%d" fill="currentColor">`, place)
	p.write(`<polyline points="%s" fill="none" stroke="currentColor" stroke-width="%g" stroke-dasharray="%s"/>`, strings.Join(corners, " "), how.width, how.dash)
	shape := fmt.Sprintf(how.marker, marker)
	for _, corner := range corners {
		p.write(`<path class="edge" d="%s" transform="translate(%s)"/>`, shape, corner)
	}
	p.write(`</g>`)
}

// labels names each line at its end, with its last figure.
func (p *paper) labels(lines []Line) {
	var wanted []float64
	for _, line := range lines {
		wanted = append(wanted, p.y(line.Points[len(line.Points)-1].Cost))
	}
	for i, y := range spread(wanted, labelSpace) {
		last := lines[i].Points[len(lines[i].Points)-1]
		end, x := p.left+p.x(last.Services), p.left+across+labelDistance
		p.write(`<g class="line%d" fill="currentColor">`, i)
		p.write(`<path stroke="currentColor" d="M%.1f,%.1fL%.1f,%.1f"/>`, end+marker+3, wanted[i], x-4, y)
		p.text("label", x, y-1, "start", lines[i].Label)
		p.write(`</g>`)
		p.text("dim", x, y+16, "start", Short(last.Cost)+" µs")
	}
}

// spread moves what stands too near to its neighbour away from it, both by the same, and nothing beyond
// the axes.
func spread(wanted []float64, space float64) []float64 {
	placed := slices.Clone(wanted)
	order := make([]int, len(wanted))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(wanted[a], wanted[b]) })
	for range passes {
		for i, place := range order {
			placed[place] = min(max(placed[place], top), bottom-space/2)
			if i == 0 {
				continue
			}
			upper, lower := &placed[order[i-1]], &placed[place]
			if missing := space - (*lower - *upper); missing > 0 {
				*upper, *lower = *upper-missing/2, *lower+missing/2
			}
		}
	}
	return placed
}

// Short writes a cost as people say it.
func Short(cost float64) string {
	if cost < 9.95 {
		return fmt.Sprintf("%.1f", cost)
	}
	return fmt.Sprintf("%.0f", cost)
}

// thousands writes a number with a comma.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// escape writes text for XML, and keeps its lines.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes all
	return strings.ReplaceAll(b.String(), "&#xA;", "\n")
}
