package signing

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

func TestInRepository(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]bool{
		"":                                  true,
		"acme/zlib":                         true,
		"localhost:8080/acme/zlib":          true,
		"ghcr.io/mirror/acme/zlib:1.3.1":    true,
		"ghcr.io/acme/zlib@sha256:00":       true,
		"ghcr.io/acme/z_lib":                false,
		"localhost:8080/evil/openssl":       false,
		"localhost:8080/notacme/zlib":       false,
		"localhost:8080/acme/zlib/evil":     false,
		"zlib":                              false,
		"localhost:8080/acme/zlib-ng:1.3.1": false,
	} {
		if err := fuzzSubject.inRepository(ref); (err == nil) != want {
			t.Errorf("inRepository(%q) = %v; want accepted %v", ref, err, want)
		}
	}
}

func TestNamedBy(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"":                                true, // cosign names nothing
		"ghcr.io/acme/zlib":               true, // nor is this a package URL
		"pkg:oci/zlib@sha256:00":          true,
		"pkg:clyde/acme/zlib@1.3.1":       true,
		"pkg:clyde/acme/zlib":             true,
		"pkg:clyde/acme/zlib@1.3.2":       false,
		"pkg:clyde/acme/zlib@":            false,
		"pkg:clyde/acme/zlib@1.3.1?os=x":  false,
		"pkg:clyde/acme/zlib@1.3.1#sub":   false,
		"pkg:clyde/acme/zl%69b@1.3.1":     false, // not the canonical spelling
		"pkg:clyde/evil/zlib@1.3.1":       false,
		"pkg:clyde/acme/zlib/x@1.3.1":     false,
		"pkg:clyde/zlib":                  false,
		"pkg:clyde/acme/zlib@1.3.1%2B1":   false,
		"pkg:clyde/acme/zlib@1.3.1@1.3.1": false,
	}
	for name, want := range tests {
		if err := fuzzSubject.namedBy(name); (err == nil) != want {
			t.Errorf("namedBy(%q) = %v; want accepted %v", name, err, want)
		}
	}
	if err := (Subject{}).namedBy("pkg:clyde/evil/zlib"); err != nil {
		t.Errorf("namedBy without a name = %v; want accepted", err)
	}
	if got := PURL(clyde.Name{}, "1.0.0"); got != "" {
		t.Errorf("PURL of no name = %q; want none", got)
	}
}
