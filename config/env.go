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
)

// envPrefix starts every variable that is read.
const envPrefix = "CLYDE_"

// serviceRE matches what Kubernetes and Docker links set for a service of
// another name: CLYDE_REGISTRY_SERVICE_HOST for a service "clyde-registry",
// CLYDE_API_PORT_8080_TCP_ADDR for "clyde-api". They are nobody's settings.
var serviceRE = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// Overlay sets fields from variables named after their path: CLYDE_HTTP_ADDR
// is http.addr. Lists are separated by commas. A variable below one of the
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
			for j, sub := range keysOf(f.Type()) {
				fields[name+"_"+strings.ToUpper(sub)] = f.Field(j)
			}
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
