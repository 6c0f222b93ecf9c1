package signing

import (
	"reflect"
	"strings"
	"testing"
)

// A report is answered by the API and printed by --json: its members are named as
// all others there, in lower case with underscores.
func TestReportMembers(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(r reflect.Type) {
		for r.Kind() == reflect.Pointer || r.Kind() == reflect.Slice {
			r = r.Elem()
		}
		if r.Kind() != reflect.Struct || seen[r] || r.PkgPath() != reflect.TypeFor[Report]().PkgPath() {
			return
		}
		seen[r] = true
		for f := range r.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != strings.ToLower(name) || name == "" {
				t.Errorf("%s.%s is written as %q; want lower case and underscores", r, f.Name, name)
			}
			walk(f.Type)
		}
	}
	for _, r := range []reflect.Type{reflect.TypeFor[Report](), reflect.TypeFor[Author](), reflect.TypeFor[Attested]()} {
		walk(r)
	}
}
