// Package ingest is the one write path of the catalogue: it admits what is
// pushed, keeps the inbox, applies events and reconciles with what the
// registry says now.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// ReservationLease is how long a version stays reserved for a push whose
// manifest is not tagged yet. Ours: long enough for the slowest disk between
// two steps of one request, short enough that a crash blocks nobody for long.
const ReservationLease = time.Minute

// Push is one manifest on its way into the embedded registry.
type Push struct {
	Principal account.Principal
	Repo      string // "acme/zlib"
	Tag       string // "" when pushed by digest
	MediaType string // as the Content-Type says
	Payload   []byte // the manifest, byte for byte
}

// Admission is what Admit decided. The registry stores the manifest and then
// commits Commit, or calls Abandon.
type Admission struct {
	Commit store.Commit
	// Payload is what to store: the pushed bytes, or for cosign's .sig and .att
	// tags the union with what the tag held.
	Payload []byte
}

// Blobs reads blobs of one repository of the embedded registry; every read
// proves membership. It returns clyde.ErrNotFound for anything else.
type Blobs interface {
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (io.ReadCloser, error)
	Manifest(ctx context.Context, repo string, d digest.Digest) (payload []byte, mediaType string, err error)
}

// Admitter decides what may be stored.
type Admitter struct {
	DB     *store.DB
	Accept string // "packages" (default) or "any"
	Now    func() time.Time
}

var _ = errors.Is
var _ = json.Valid
var _ = fmt.Sprint
var _ = strings.Cut
var _ = artifact.TypePackage

var _ = clyde.ErrInvalid

// Admit checks a manifest that is being pushed: permission, strict JSON, that
// everything it references is in the repository, and for a package its
// package.yaml, name, version and limits; then reserves the version. The error
// is a *clyde.Error that says what to mend; nothing is stored then.
func (a *Admitter) Admit(ctx context.Context, p Push, blobs Blobs) (Admission, error) {
	return Admission{}, errors.New("ingest: being written")
}

// Abandon gives the reservation up after a failed store.
func (a *Admitter) Abandon(ctx context.Context, ad Admission) {}
