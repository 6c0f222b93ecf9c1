package artifact_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// A folder that is no whole build is refused, in words, before anything is sent.
func TestLoadBuildRefuses(t *testing.T) {
	t.Parallel()
	o := artifact.BuildOptions{Subject: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("x"), Size: 1}}
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, tt := range []struct{ name, index string }{
		{"empty", ""},
		{"no JSON", "{"},
		{"no manifest", `{"manifests": []}`},
		{"two manifests", `{"manifests": [{"digest": "` + absent + `"}, {"digest": "` + absent + `"}]}`},
		{"a manifest that is not there", `{"manifests": [{"digest": "` + absent + `"}]}`},
		{"no digest", `{"manifests": [{"digest": "../../etc/passwd"}]}`},
		{"a path for a digest", `{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tt.index != "" {
				if err := os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), []byte(tt.index), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := artifact.LoadBuild(dir, o)
			if !errors.Is(err, clyde.ErrInvalid) || clyde.AsError(err).Code != "build_invalid" {
				t.Errorf("LoadBuild = %v; want build_invalid", err)
			}
		})
	}
}
