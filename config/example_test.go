package config_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/clydepm/clyde-registry/config"
)

// setting is one leaf of the configuration.
type setting struct {
	path, env string
	value     any
}

// settings lists every leaf of v, in the order of the struct.
func settings(v reflect.Value, path string) []setting {
	if v.Kind() != reflect.Struct {
		return []setting{{path, "CLYDE_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_")), v.Interface()}}
	}
	var out []setting
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		out = append(out, settings(v.Field(i), strings.TrimPrefix(path+"."+key, "."))...)
	}
	return out
}

// The annotated example has every setting, at its default.
func TestExampleIsDefault(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("clyde.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Read(bytes.NewReader(b), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(config.Default(), got); d != "" {
		t.Errorf("clyde.example.yaml is not config.Default() (-default +example):\n%s", d)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings(reflect.ValueOf(config.Default()), "") {
		node := any(tree)
		for key := range strings.SplitSeq(s.path, ".") {
			m, _ := node.(map[string]any)
			v, ok := m[key]
			if !ok {
				t.Errorf("clyde.example.yaml does not show %s", s.path)
				break
			}
			node = v
		}
	}
}

// The manual's table has every setting, its variable and its default.
func TestManualHasEverySetting(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| `CLYDE_").FindAllStringSubmatch(string(b), -1) {
		documented = append(documented, m[1])
	}
	var want []string
	for _, s := range settings(reflect.ValueOf(config.Default()), "") {
		want = append(want, s.path)
		if row := fmt.Sprintf("| `%s` | `%s` | %s |", s.path, s.env, shown(s.value)); !strings.Contains(string(b), row) {
			t.Errorf("docs/operating.md lacks a row that begins: %s", row)
		}
	}
	if d := cmp.Diff(want, documented); d != "" {
		t.Errorf("settings in docs/operating.md (-config +manual):\n%s", d)
	}
}

// shown is a default as the manual writes it.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "empty"
		}
		return "`" + v + "`"
	case []config.TrustedIssuer:
		var names []string
		for _, i := range v {
			names = append(names, i.Name)
		}
		return shown(names)
	case []config.Sigstore:
		var names []string
		for _, i := range v {
			names = append(names, i.Name)
		}
		return shown(names)
	case []string:
		if len(v) == 0 {
			return "empty"
		}
		return "`" + strings.Join(v, ",") + "`"
	case time.Duration:
		s := v.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return "`" + s + "`"
	default:
		return fmt.Sprintf("`%v`", v)
	}
}
