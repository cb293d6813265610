package plot

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/test/storytest"
)

// update rewrites the pictures.
var update = flag.Bool("update", false, "draw the pictures of testdata/plot and docs anew")

// house is the top of the source tree.
const house = "../../.."

// read reads a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(house, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStories draws what benchnet printed.
func TestStories(t *testing.T) {
	paths := storytest.Paths(t, filepath.Join(house, "testdata/plot"), 4)
	storytest.Each(t, paths, *update, func(_ *testing.T, story *txtar.Archive) *txtar.Archive {
		retold := *story
		retold.Files = slices.Clone(story.Files[:1])
		chart, err := Read(string(story.Files[0].Data))
		if err != nil {
			retold.Files = append(retold.Files, txtar.File{Name: "error", Data: []byte(err.Error() + "\n")})
			return &retold
		}
		retold.Files = append(retold.Files, txtar.File{Name: "picture.svg", Data: chart.SVG()})
		return &retold
	})
}

// TestPicture draws the picture of the README anew from the figures of docs/benchmarks.md.
func TestPicture(t *testing.T) {
	const picture = "docs/connection-cost.svg"
	drawn := published(t).SVG()
	if *update {
		if err := os.WriteFile(filepath.Join(house, picture), drawn, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, picture) != string(drawn) {
		t.Errorf("%s is not what docs/benchmarks.md says; fix: bin/benchnet -draw %s docs/benchmarks.md", picture, picture)
	}
	for _, page := range []string{"README.md", "docs/benchmarks.md"} {
		if !strings.Contains(read(t, page), filepath.Base(picture)+")") {
			t.Errorf("%s does not show the picture", page)
		}
	}
}

// published is the picture of docs/benchmarks.md.
func published(t *testing.T) Chart {
	t.Helper()
	chart, err := Read(read(t, "docs/benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

// TestREADME holds the figures of the README against those of docs/benchmarks.md.
func TestREADME(t *testing.T) {
	page, readme := read(t, "docs/benchmarks.md"), read(t, "README.md")
	var ratios []float64
	for _, match := range regexp.MustCompile(`\nnatspread, 5,000 by [^\n]*, nft\n +over nftables' own map, 5,000 by [^\n]*, native +([\d.]+) `).FindAllStringSubmatch(page, -1) {
		ratio, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		ratios = append(ratios, ratio)
	}
	if len(ratios) < len(asked()) {
		t.Fatalf("docs/benchmarks.md has too few ratios over nftables' map: %v", ratios)
	}
	last := map[string]string{}
	for _, line := range published(t).Panels[0].Lines {
		for _, point := range line.Points {
			if point.Services == 5000 {
				last[line.Label] = Short(point.Cost)
			}
		}
	}
	for _, want := range []string{
		fmt.Sprintf("natspread takes %.2f to %.2f times as long, by iptables-nft", slices.Min(ratios), slices.Max(ratios)),
		fmt.Sprintf("the last of 5,000 by iptables-nft: %s µs, kube-proxy's layout %s, a flat list %s |", last["natspread"], last["kube-proxy's layout"], last["flat list"]),
		fmt.Sprintf("| adds %.0f µs to a connection, HAProxy %.0f; ", figure(t, page, `\nnatspread, nft +[\d.]+ +([\d.]+) `), figure(t, page, `\nHAProxy +[\d.]+ +([\d.]+) `)),
		fmt.Sprintf("; %s MB/s, HAProxy %.0f |", thousands(int(math.Round(figure(t, page, `\nnatspread, 1 service, nft +([\d.]+) `)))), figure(t, page, `\nHAProxy +([\d.]+)  \(`)),
	} {
		if !strings.Contains(readme, want) {
			t.Errorf("the README does not say %q", want)
		}
	}
}

// figure reads a figure of a page.
func figure(t *testing.T, page, pattern string) float64 {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(page)
	if match == nil {
		t.Fatalf("docs/benchmarks.md has no %s", pattern)
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// TestReadable draws the published figures, and many that nobody measured: each word stands alone and
// within the picture, also in a wide font, and the picture needs nothing else.
func TestReadable(t *testing.T) {
	charts := []Chart{published(t)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		charts = append(charts, anyChart(random))
	}
	for _, chart := range charts {
		words := words(t, chart.SVG())
		for i, a := range words {
			if a.from < 0 || a.to > width || a.top < 0 || a.bottom > height {
				t.Fatalf("%q is not in the picture: %+v", a.text, a)
			}
			for _, b := range words[:i] {
				if a.from < b.to && b.from < a.to && a.top < b.bottom && b.top < a.bottom {
					t.Fatalf("%q and %q stand on each other:\n%+v\n%+v", a.text, b.text, a, b)
				}
			}
		}
	}
	for _, foreign := range []string{"<script", "href", "url(", "@import", "@font-face", "<image"} {
		if strings.Contains(string(charts[0].SVG()), foreign) {
			t.Errorf("the picture has %s", foreign)
		}
	}
}

// anyChart is the published picture with other figures: of all sizes, near to each other or not.
func anyChart(random *rand.Rand) Chart {
	chart := Chart{Title: "Title", About: "about", Source: "source", Machine: "machine"}
	width := math.Exp(7 * random.Float64())
	for _, ask := range asked() {
		panel := Panel{Title: ask[1]}
		for _, layout := range drawn() {
			line := Line{Label: layout[1]}
			for _, services := range []int{1, 100, 10_000} {
				line.Points = append(line.Points, Point{services, 4 * math.Pow(width, random.Float64())})
			}
			panel.Lines = append(panel.Lines, line)
		}
		chart.Panels = append(chart.Panels, panel)
	}
	return chart
}

// word is a text of the picture and about the space that it takes.
type word struct {
	text                  string
	from, to, top, bottom float64
}

// words reads the texts of a picture, which is well-formed.
func words(t *testing.T, picture []byte) []word {
	t.Helper()
	var all []word
	for decoder := xml.NewDecoder(strings.NewReader(string(picture))); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		start, is := token.(xml.StartElement)
		if !is || start.Name.Local != "text" {
			continue
		}
		var text struct {
			Class  string  `xml:"class,attr"`
			X      float64 `xml:"x,attr"`
			Y      float64 `xml:"y,attr"`
			Anchor string  `xml:"text-anchor,attr"`
			Words  string  `xml:",chardata"`
		}
		if err := decoder.DecodeElement(&text, &start); err != nil {
			t.Fatal(err)
		}
		size := sizeOf(text.Class)
		long := 0.58 * size * float64(len([]rune(text.Words))) // DejaVu Sans, of which no common font is wider
		from := text.X - map[string]float64{"start": 0, "middle": long / 2, "end": long}[text.Anchor]
		all = append(all, word{text.Words, from, from + long, text.Y - 0.75*size, text.Y + 0.22*size})
	}
}

// sizeOf reads the size of a class's letters in the style.
func sizeOf(class string) float64 {
	sizes := regexp.MustCompile(`(?m)^(?:text|\.(\w+)) \{.*font-size: ([\d.]+)px`).FindAllStringSubmatch(style, -1)
	var size float64
	for _, match := range sizes {
		if match[1] == "" || slices.Contains(strings.Fields(class), match[1]) {
			size, _ = strconv.ParseFloat(match[2], 64)
		}
	}
	return size
}

// TestContrast wants words and lines of both themes to be read by eyes that are not the best: WCAG's 4.5
// to 1 for words.
func TestContrast(t *testing.T) {
	light, dark, _ := strings.Cut(style, "@media (prefers-color-scheme: dark)")
	for theme, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, match := range regexp.MustCompile(`\.(\w+) \{ (?:fill|color|stroke): #(\w{6}) \}`).FindAllStringSubmatch(css, -1) {
			colours[match[1]] = luminance(t, match[2])
		}
		if len(colours) != 10 {
			t.Errorf("%s has %d colours", theme, len(colours))
		}
		for _, name := range []string{"ink", "dim", "line0", "line1", "line2", "line3"} {
			bright, faint := max(colours[name], colours["ground"]), min(colours[name], colours["ground"])
			if contrast := (bright + 0.05) / (faint + 0.05); contrast < 4.5 {
				t.Errorf("%s, %s: %.1f to 1", theme, name, contrast)
			}
		}
	}
}

// luminance is WCAG's relative luminance of a colour.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	number, err := strconv.ParseUint(colour, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, part := range []float64{0.0722, 0.7152, 0.2126} {
		value := float64(number>>(8*i)&0xff) / 255
		if value <= 0.04045 {
			sum += part * value / 12.92
		} else {
			sum += part * math.Pow((value+0.055)/1.055, 2.4)
		}
	}
	return sum
}
