package importrules_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that all of Trine's packages begin with.
const module = "github.com/trinedb/trine"

// seeds is what the tests of every room may import.
const seeds = "internal/seedtest"

// A rule says what the packages under room may import. The rule with the
// longest room that holds a package is the one in force. Everything below a
// path in allow is allowed with it; a package may always import what lies in
// its own room.
type rule struct {
	room    string   // folder of the repository
	allow   []string // Trine's own packages
	outside []string // modules that are neither Trine nor the standard library; nil: any
	why     string
}

// rules are the layout of ARCHITECTURE.md. A room that is not here has no
// rule yet, and the test asks for one.
var rules = []rule{
	{
		room:    "schema",
		outside: []string{arrow},
		why:     "schema is the standard library and Arrow: every room imports it, so it drags nothing in",
	},
	{
		room:    "schema/definition",
		outside: append([]string{arrow}, textForms...),
		allow:   []string{"schema"},
		why:     "schema/definition adds libraries for YAML and JSON to what schema may use, and no other",
	},
	{
		room:    "schema/rowjson",
		outside: append([]string{arrow}, textForms...),
		allow:   []string{"schema"},
		why:     "schema/rowjson adds libraries for YAML and JSON to what schema may use, and no other",
	},
	{
		room:  "log",
		allow: []string{"schema", "internal/blob"},
		why:   "the log knows neither index nor lake, which are functions of it: sync joins them",
	},
	{
		room:  "kvindex",
		allow: []string{"schema"},
		why:   "the index knows neither log nor lake: sync joins them",
	},
	{
		room:  "lakehouse",
		allow: []string{"schema", "internal/blob", "internal/query"},
		why:   "the lake knows neither log nor index: sync joins them",
	},
	{room: "ingest", allow: atTheEdge, why: atTheEdgeWhy},
	{
		room:  "sync",
		allow: []string{"schema", "log", "kvindex", "lakehouse", "internal/query"},
		why:   "sync is the one joint of the three stores, and takes them as they are; it serves no request and knows no format",
	},
	{room: "arrowhttp", allow: atTheEdge, why: atTheEdgeWhy},

	{room: "internal/blob", why: "object stores hold bytes, and know nothing of Trine's but its errors", allow: []string{"schema"}},
	{room: "internal/coord", why: "ownership has no domain", allow: []string{"schema", "internal/blob"}},
	{room: "internal/query", why: "a predicate knows rows and no store", allow: []string{"schema"}},
	{room: "internal/registry", why: "definitions are rows in the log, which the registry meets by an interface of its own", allow: []string{"schema"}},
	{room: "internal/importrules", why: "it reads files"},
	{room: seeds, why: "it numbers random tests"},
	{room: "internal/node", why: "a node wires the rooms; only commands lie above it", allow: []string{
		"schema", "log", "kvindex", "lakehouse", "ingest", "sync", "arrowhttp", "internal",
	}},

	{room: "client", allow: []string{"schema"}, why: "a client knows the API and not how it is served"},
	{room: "cmd", allow: []string{""}, why: "a command may import everything, and only wires"},
	{room: "bench", allow: []string{""}, why: "a benchmark measures whatever it likes"},
}

const arrow = "github.com/apache/arrow-go/v18"

// textForms are the libraries for the forms that users write by hand.
var textForms = []string{
	"github.com/goccy/go-json", "github.com/go-json-experiment/json",
	"github.com/goccy/go-yaml", "go.yaml.in/yaml", "gopkg.in/yaml.v3",
}

var atTheEdge = []string{"schema", "internal/query", "internal/registry"}

const atTheEdgeWhy = "it declares the small interfaces that it needs of the stores, and internal/node fills them"

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the repository's root: %v", err)
	}
	files := 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(root, name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		files++
		return checkFile(t, name, filepath.ToSlash(rel))
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no Go file was found")
	}
}

// enter passes over the folders that the go command passes over too.
func enter(root, folder string) error {
	base := filepath.Base(folder)
	if folder == root {
		return nil
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" {
		return filepath.SkipDir
	}
	return nil
}

func checkFile(t *testing.T, name, rel string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	pkg := path.Dir(rel)
	r, ok := ruleOf(pkg)
	if !ok {
		t.Errorf("%s: package %s has no rule: add its room to the table in internal/importrules", rel, pkg)
		return nil
	}
	isTest := strings.HasSuffix(rel, "_test.go") || strings.HasSuffix(pkg, "test")
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if !r.allows(imported, isTest) {
			t.Errorf("%s imports %s\n\trule of %s: %s\n\tallowed: %s", rel, imported, r.room, r.why, r.allowed())
		}
	}
	return nil
}

// ruleOf finds the rule of the nearest room that holds pkg.
func ruleOf(pkg string) (rule, bool) {
	for room := pkg; room != "." && room != "/"; room = path.Dir(room) {
		if i := slices.IndexFunc(rules, func(r rule) bool { return r.room == room }); i >= 0 {
			return rules[i], true
		}
	}
	return rule{}, false
}

// allows reports whether a file of the room may import a package. Tests, and
// packages that only tests import, may use any library from outside, but are
// as apart from other rooms as the code they test.
func (r rule) allows(imported string, isTest bool) bool {
	if !isWithin(imported, module) {
		return isTest || isStandard(imported) || r.outside == nil || isWithinAny(imported, r.outside)
	}
	own := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	return isWithin(own, r.room) || isWithinAny(own, r.allow) || isTest && own == seeds
}

func (r rule) allowed() string {
	list := append([]string{r.room}, r.allow...)
	list = append(list, "the standard library")
	if r.outside == nil {
		return strings.Join(list, ", ") + ", any library"
	}
	return strings.Join(append(list, r.outside...), ", ")
}

func isWithinAny(name string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return f == "" || isWithin(name, f) })
}

func isWithin(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// isStandard reports whether a package is of the standard library: a module's
// path begins with a host, and a host has a dot.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func TestRules(t *testing.T) {
	tests := []struct {
		pkg, imported string
		isTest, want  bool
	}{
		{pkg: "kvindex", imported: module + "/schema", want: true},
		{pkg: "kvindex", imported: module + "/schema/rowjson", want: true},
		{pkg: "kvindex", imported: module + "/log"},
		{pkg: "kvindex", imported: module + "/log", isTest: true},
		{pkg: "kvindex/internal/keys", imported: module + "/lakehouse"},
		{pkg: "kvindex", imported: "github.com/dgraph-io/badger/v4", want: true},
		{pkg: "log", imported: module + "/internal/blob/blobtest", isTest: true, want: true},
		{pkg: "log", imported: module + "/" + seeds, isTest: true, want: true},
		{pkg: "log", imported: module + "/" + seeds},
		{pkg: "log", imported: module + "/logical"},
		{pkg: "schema", imported: "github.com/goccy/go-yaml"},
		{pkg: "schema", imported: "pgregory.net/rapid", isTest: true, want: true},
		{pkg: "schema/definition", imported: "github.com/goccy/go-yaml", want: true},
		{pkg: "schema", imported: module + "/log"},
		{pkg: "arrowhttp", imported: module + "/log"},
		{pkg: "cmd/trine", imported: module + "/log", want: true},
		{pkg: "internal/node", imported: module + "/cmd/trine"},
	}
	for _, tt := range tests {
		r, ok := ruleOf(tt.pkg)
		if !ok {
			t.Errorf("%s has no rule", tt.pkg)
			continue
		}
		if got := r.allows(tt.imported, tt.isTest); got != tt.want {
			t.Errorf("%s may import %s (test: %t): %t, want %t", tt.pkg, tt.imported, tt.isTest, got, tt.want)
		}
	}
}
