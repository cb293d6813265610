package configfiles

import (
	"fmt"
	"slices"
	"testing"
)

// TestIsName takes the names that files of a config have, and no other.
func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"natspread.toml": true, "conf.d/web.toml": true, "conf.d/10-web 2.toml": true, "conf.d/über.toml": true, "conf.d/natspread.toml": true,
		"": false, "web.toml": false, "conf.d": false, "conf.d/": false, "conf.d/.toml": false, "conf.d/.web.toml": false, "conf.d/web.toml~": false,
		"conf.d/web.TOML": false, "conf.d/a/web.toml": false, "conf.d/../web.toml": false, "conf.d//web.toml": false, "/conf.d/web.toml": false,
		"conf.d/a\nb.toml": false, "conf.d/a\x1b.toml": false, "conf.d/a\xff.toml": false, "./natspread.toml": false,
	} {
		if IsName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestOrder has natspread.toml first, and then the bytes of the names.
func TestOrder(t *testing.T) {
	var files Set
	for _, name := range []string{"conf.d/a.toml", "conf.d/9.toml", "conf.d/Z.toml", "natspread.toml", "conf.d/10.toml", "conf.d/a-b.toml"} {
		files = files.With(File{Name: name, Text: []byte(name)})
	}
	want := []string{"natspread.toml", "conf.d/10.toml", "conf.d/9.toml", "conf.d/Z.toml", "conf.d/a-b.toml", "conf.d/a.toml"}
	if names := files.Names(); !slices.Equal(names, want) {
		t.Errorf("the order is %q", names)
	}
	other := files.With(File{Name: "conf.d/9.toml", Path: "elsewhere", Text: []byte("conf.d/9.toml")})
	if !files.Equal(other) || files.Equal(other[1:]) || files.Equal(files.With(File{Name: "conf.d/9.toml"})) || files[2].Path != "" {
		t.Errorf("what is equal: %v", other)
	}
	if other.Size() != files.Size() || string(files.Main()) != "natspread.toml" || files[1:].Main() != nil || fmt.Sprint(other.Paths()) != "[  elsewhere   ]" {
		t.Errorf("%d bytes, %q, %q", other.Size(), files.Main(), other.Paths())
	}
}
