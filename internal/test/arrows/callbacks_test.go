package arrows

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// callbacks are the places at which code from outside can come into what loads the rules at
// boot, each with the reason why it may. A config cannot be parsed in any of them: that
// arrow, too, only points down.
func callbacks() map[string]string {
	const (
		runs  = "a program.Runner, which starts iptables' programs: tests put another in its place"
		steps = "a step of restore's own that reverts what was done"
	)
	return map[string]string{
		"restore.Host.Run":                    runs,
		"restore/iptables.Kernel.Run":         runs,
		"restore/iptables.DetectVariant(run)": runs,
		"restore/iptables.Filters(run)":       runs,
		"restore/iptables.ReadHooks(run)":     runs,
		"units.Owned(run)":                    "a program.Runner, which asks dpkg and rpm: tests put another in its place",
		"restore.Trial.Schedule":              "starts the timer of a trial, which systemd runs or a process: apply alone has it, no boot",
		"restore/flows.Each(do)":              "is given one tracked connection after the other, as there may be a million",
		"restore/iptables.Kernel.Counting":    "restore's own, which keeps what rules counted before they go",
		"restore/iptables.Loaded.Revert":      steps,
		"restore/iptables.Revert(revert)":     steps,
		"units.Install(manager)":              "systemd, by D-Bus: tests put another in its place",
		"units.Uninstall(manager)":            "systemd, by D-Bus: tests put another in its place",
		"units.InstallHealth(manager)":        "systemd, by D-Bus: tests put another in its place",
		"units.InstallMetrics(manager)":       "systemd, by D-Bus: tests put another in its place",
	}
}

// carrier finds the places of exported API that can take code: a function, an interface, or
// what has one of them in it.
type carrier struct {
	found map[string]bool
	ours  func(*types.Package) bool // whose API is looked at by itself
}

// carriers returns those places of a package.
func carriers(pkg *types.Package, ours func(*types.Package) bool) []string {
	c := carrier{map[string]bool{}, ours}
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		if object := scope.Lookup(name); object.Exported() {
			c.object(strings.TrimPrefix(pkg.Path(), module)+"."+name, object)
		}
	}
	return slices.Sorted(maps.Keys(c.found))
}

// object looks at an exported declaration.
func (c carrier) object(place string, object types.Object) {
	switch object := object.(type) {
	case *types.Func:
		c.parameters(place, object.Signature())
	case *types.Var:
		c.check(place, object.Type())
	case *types.TypeName:
		c.fields(place, object.Type())
		methods := types.NewMethodSet(types.NewPointer(object.Type()))
		for i := range methods.Len() {
			if method := methods.At(i).Obj(); method.Exported() && !types.IsInterface(object.Type()) {
				c.parameters(place+"."+method.Name(), method.(*types.Func).Signature())
			}
		}
	}
}

// fields looks at what a value of a type is made of: by its literal, code can come into each
// exported field.
func (c carrier) fields(place string, t types.Type) {
	made, is := t.Underlying().(*types.Struct)
	if !is {
		return
	}
	for i := range made.NumFields() {
		if field := made.Field(i); field.Exported() {
			c.check(place+"."+field.Name(), field.Type())
		}
	}
}

// parameters looks at what a function is given.
func (c carrier) parameters(place string, signature *types.Signature) {
	for i := range signature.Params().Len() {
		parameter := signature.Params().At(i)
		c.check(fmt.Sprintf("%s(%s)", place, parameter.Name()), parameter.Type())
	}
}

// check notes a place whose values have code in them.
func (c carrier) check(place string, t types.Type) {
	if c.carries(t, map[types.Type]bool{}) {
		c.found[place] = true
	}
}

// carries tells whether a value of a type can have code of others in it. A context and an
// error cannot be asked for anything but what they are.
func (c carrier) carries(t types.Type, seen map[types.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		if name := t.Obj(); name.Pkg() == nil || name.Pkg().Path() == "context" && name.Name() == "Context" {
			return false // error
		} else if _, made := t.Underlying().(*types.Struct); made && c.ours(name.Pkg()) {
			return false // which is looked at by itself
		}
		return c.carries(t.Underlying(), seen)
	case *types.Alias:
		return c.carries(types.Unalias(t), seen)
	case *types.Signature, *types.Interface, *types.TypeParam:
		return true
	case *types.Struct:
		for i := range t.NumFields() {
			if t.Field(i).Exported() && c.carries(t.Field(i).Type(), seen) {
				return true
			}
		}
	case *types.Map:
		return c.carries(t.Key(), seen) || c.carries(t.Elem(), seen)
	case interface{ Elem() types.Type }: // pointers, slices, arrays and channels
		return c.carries(t.Elem(), seen)
	}
	return false
}

// TestCallbacks holds the arrow of TestBoot at run time: nobody hands a function up to what
// loads the rules at boot, through which it would come to know configs after all.
func TestCallbacks(t *testing.T) {
	listed := list(t, "-export", "-json=ImportPath,Imports,Export", "./restore/...", "./units")
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(listed[path].Export) })
	var found []string
	for _, room := range listed.rooms() {
		if !loadsAtBoot(room) {
			continue
		}
		pkg, err := imports.Import(module + room)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, carriers(pkg, func(pkg *types.Package) bool {
			room, ours := strings.CutPrefix(pkg.Path(), module)
			return ours && loadsAtBoot(room)
		})...)
	}
	for _, place := range found {
		if callbacks()[place] == "" {
			t.Errorf("code can come into %s: hand it values, or say in callbacks why it may", place)
		}
	}
	for place := range callbacks() {
		if !slices.Contains(found, place) {
			t.Errorf("no code can come into %s", place)
		}
	}
}

// TestCarriers finds every way by which code can come into a package, and nothing else.
func TestCarriers(t *testing.T) {
	const text = `package p

type Parse func(text []byte) (int, error)
type Asker interface{ Ask() int }
type Plain struct { Number int; Names []string; Next *Plain }
type Host struct {
	Run    Parse
	Known  map[int]func()
	Ask    []Asker
	Any    any
	Deep   struct{ Inner chan func() }
	Plain  Plain
	Err    error
	hidden func()
}
func (h *Host) Use(run Parse, n int) error { return nil }
func (h Host) With(options ...func(*Host)) Host { return h }
func (h Host) Undo() func() { return nil }
func (h Host) quiet(run func()) {}
func Read(to Asker, plain Plain) {}
func Generic[T Asker](value T) {}
func unexported(run func()) {}
var Hook func()
var Count int
`
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check(module+"p", files, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"p.Generic(value)", "p.Hook", "p.Host.Any", "p.Host.Ask", "p.Host.Deep", "p.Host.Known", "p.Host.Run",
		"p.Host.Use(run)", "p.Host.With(options)", "p.Read(to)",
	}
	if found := carriers(pkg, func(*types.Package) bool { return true }); !slices.Equal(found, want) {
		t.Errorf("found %q, not %q", found, want)
	}
}
