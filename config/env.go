package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// envPrefix starts every variable that is read.
const envPrefix = "CLYDE_"

// serviceRE matches what Kubernetes and Docker links set for a service of
// another name: CLYDE_REGISTRY_SERVICE_HOST for a service "clyde-registry",
// CLYDE_API_PORT_8080_TCP_ADDR for "clyde-api". They are nobody's settings.
var serviceRE = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// Overlay sets fields from variables named after their path: CLYDE_HTTP_ADDR
// is http.addr. Lists are separated by commas; a list of sections is written as
// YAML or JSON. A variable below one of the
// file's sections that names no field is an error, as an unknown key is.
// Variables without a section belong to the client (CLYDE_REGISTRY,
// CLYDE_TOKEN, CLYDE_CONFIG, CLYDE_KEY_PASSWORD) and are left alone.
func (c *Config) Overlay(environ []string) error {
	fields := map[string]reflect.Value{}
	var names, sections []string
	top := reflect.ValueOf(c).Elem()
	for i, key := range keysOf(top.Type()) {
		name := envPrefix + strings.ToUpper(key)
		if f := top.Field(i); f.Kind() == reflect.Struct {
			sections = append(sections, name+"_")
			leaves(fields, name+"_", f)
		} else {
			fields[name] = f
		}
	}
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if f, ok := fields[name]; ok {
			if err := setField(f, value); err != nil {
				if f.Type() == reflect.TypeFor[[]OIDCProvider]() || f.Type() == reflect.TypeFor[[]Upstream]() {
					value = "…" // it holds secrets
				}
				errs = append(errs, fmt.Errorf("config: %s=%q: %w", name, value, err))
			}
			continue
		}
		ours := func(section string) bool { return strings.HasPrefix(name, section) }
		if !slices.ContainsFunc(sections, ours) || serviceRE.MatchString(name) {
			continue
		}
		msg := fmt.Sprintf("config: the variable %s sets nothing", name)
		if near := nearest(name, names); near != "" {
			msg += fmt.Sprintf("; did you mean %s?", near)
		}
		errs = append(errs, errors.New(msg))
	}
	return errors.Join(errs...)
}

// leaves adds every setting below a section, by the name of its variable.
func leaves(fields map[string]reflect.Value, prefix string, section reflect.Value) {
	for i, key := range keysOf(section.Type()) {
		name, f := prefix+strings.ToUpper(key), section.Field(i)
		if f.Kind() == reflect.Struct {
			leaves(fields, name+"_", f)
			continue
		}
		fields[name] = f
	}
}

func setField(v reflect.Value, s string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = s
	case *time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			return errors.New("want a duration such as 20s, 5m or 24h")
		}
		*p = d
	case *[]string:
		*p = []string{}
		for x := range strings.SplitSeq(s, ",") {
			if x = strings.TrimSpace(x); x != "" {
				*p = append(*p, x)
			}
		}
	case *bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("want true or false")
		}
		*p = b
	case *[]OIDCProvider:
		return setSections(p, s)
	case *[]TrustedIssuer:
		return setSections(p, s)
	case *[]Upstream:
		return setSections(p, s)
	case *[]Sigstore:
		return setSections(p, s)
	case *int, *int64:
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return errors.New("want a whole number")
		}
		v.SetInt(n)
	case *float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return errors.New("want a number")
		}
		*p = f
	default:
		return fmt.Errorf("a value of type %s cannot come from the environment", v.Type())
	}
	return nil
}

// setSections reads a list of sections.
func setSections[T any](list *[]T, s string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(s), &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.SequenceNode {
		return errors.New("want a list of sections as YAML or JSON")
	}
	if err := errors.Join(checkKeys(doc.Content[0], reflect.TypeFor[[]T](), "")...); err != nil {
		return err
	}
	*list = []T{}
	return doc.Decode(list)
}
