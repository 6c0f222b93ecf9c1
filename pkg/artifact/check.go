package artifact

import (
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/strictjson"
)

// maxJSONDepth bounds nesting of a manifest; an image manifest needs five.
const maxJSONDepth = 32

// manifestJSON knows every key that the OCI specification gives a meaning to.
// Keys of annotations are data.
var manifestJSON = strictjson.New(strictjson.Rules{
	Depth: maxJSONDepth,
	Keys:  []string{"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations", "digest", "size", "urls", "data", "platform"},
	Data:  []string{"annotations"},
})

// CheckJSON refuses a manifest's JSON that two readers may understand
// differently: more than one value, invalid UTF-8, and objects with a key
// twice or in two cases, whatever kind of manifest it is.
func CheckJSON(b []byte) error {
	if len(b) > MaxManifest {
		return tooLarge("manifest", int64(len(b)), MaxManifest)
	}
	if err := manifestJSON.Check(b); err != nil {
		return invalid("manifest_invalid", "the manifest cannot be read: %v", err)
	}
	return nil
}

// invalid is an ErrInvalid error about an OCI manifest.
func invalid(code, format string, args ...any) *clyde.Error {
	return clyde.Errorf(clyde.ErrInvalid, format, args...).WithCode(code)
}

func tooLarge(what string, size, limit int64) *clyde.Error {
	return clyde.Errorf(clyde.ErrTooLarge, "%s is %d bytes; the limit is %d", what, size, limit).WithCode("too_large")
}
