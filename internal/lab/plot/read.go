// Package plot draws what a new connection costs against the number of services, from the text that
// benchnet printed: the picture has no figure that is not in the text.
package plot

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Chart is a picture as values.
type Chart struct {
	Title   string
	About   string // what the figures are
	Source  string // when they were measured, and how often
	Machine string // on what
	Panels  []Panel
}

// Panel is one pair of axes; all panels of a chart share the scales.
type Panel struct {
	Title string
	Lines []Line
}

// Line is a layout of rules. Its place in the panel says how it looks.
type Line struct {
	Label  string
	Points []Point
}

// Point is a figure.
type Point struct {
	Services int
	Cost     float64 // in µs
}

// drawn are the layouts of the picture, by benchnet's names, and what they are called there.
func drawn() [][2]string {
	return [][2]string{{"natspread", "natspread"}, {"kube-proxy's layout", "kube-proxy's layout"}, {"flat", "flat list"}, {"nftables' own map", "nftables' map"}}
}

// asked are the services that the panels ask for, by benchnet's names, and their titles.
func asked() [][2]string {
	return [][2]string{{"last", "The last service of the config"}, {"at random", "A service taken at random"}}
}

// Read reads the last run of a text that has all figures of the picture. A text may have several runs, and
// what is around them.
func Read(text string) (Chart, error) {
	begins := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d UTC,`).FindAllStringIndex(text, -1)
	err := errors.New("cannot find what benchnet prints: no line begins with a date and a time in UTC")
	for _, begin := range slices.Backward(begins) {
		var chart Chart
		if chart, err = readRun(text[begin[0]:]); err == nil {
			return chart, nil
		}
		text = text[:begin[0]]
	}
	return Chart{}, err
}

// readRun reads one run.
func readRun(run string) (Chart, error) {
	rounds := regexp.MustCompile(`medians of (\d+) rounds`).FindStringSubmatch(run)
	head := strings.SplitN(run, "\n", 5)
	if rounds == nil || len(head) < 5 {
		return Chart{}, fmt.Errorf("cannot draw the run of %.20s: it says no number of rounds", run)
	}
	chart := Chart{
		Title:   "What a new connection costs the balancer",
		About:   "µs of the kernel's time for its first packet, against the number of services; both axes are logarithmic",
		Source:  fmt.Sprintf("make bench-net, %.10s, medians of %s rounds; three backends for each service, on addresses one after the other", run, rounds[1]),
		Machine: head[1] + "; " + head[2] + "; " + head[3],
	}
	var numbers []int
	for _, ask := range asked() {
		panel := Panel{Title: ask[1]}
		for _, layout := range drawn() {
			points := readPoints(run, layout[0], ask[0])
			if numbers == nil {
				numbers = services(points)
			}
			if len(points) < 2 || !slices.Equal(services(points), numbers) {
				return Chart{}, fmt.Errorf("cannot draw the run of %.20s: %s, %s, has figures of %v services; all lines want the same ones, 2 or more",
					run, layout[0], ask[0], services(points))
			}
			panel.Lines = append(panel.Lines, Line{layout[1], points})
		}
		chart.Panels = append(chart.Panels, panel)
	}
	return chart, nil
}

// services are the numbers of services of a line.
func services(points []Point) []int {
	var numbers []int
	for _, point := range points {
		numbers = append(numbers, point.Services)
	}
	return numbers
}

// readPoints reads the figures of a layout, of services with an address each. Those of iptables are of its
// nft variant, which Debian has by default.
func readPoints(run, layout, asked string) []Point {
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(layout) + `, ([\d,]+) by address, ` + asked + `, (?:nft|native) +(\d+\.\d+) `)
	var points []Point
	for _, match := range line.FindAllStringSubmatch(run, -1) {
		services, _ := strconv.Atoi(strings.ReplaceAll(match[1], ",", "")) // 0 is none of benchnet's
		cost, _ := strconv.ParseFloat(match[2], 64)
		points = append(points, Point{services, cost})
	}
	return points
}
