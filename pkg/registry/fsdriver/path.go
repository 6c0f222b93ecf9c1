package fsdriver

import (
	"path"
	"path/filepath"
	"strings"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

const (
	// ownDir holds the journals and temporary files, below the root. No
	// driver path may name it and List does not show it.
	ownDir = ".clyde"

	// maxPath is the longest driver path, in bytes: PATH_MAX of Linux, 4,096,
	// less room for the root.
	maxPath = 3072

	// maxComponent is NAME_MAX of every common file system, in bytes.
	maxComponent = 255

	// layout is where distribution keeps everything.
	layout = "/docker/registry/v2"
)

// checkPath refuses what distribution's own expression lets through: dot
// components, which would leave the root, and our own directory.
func checkPath(p string) error {
	if p == "/" {
		return nil
	}
	bad := storagedriver.InvalidPathError{Path: p, DriverName: Name}
	if len(p) > maxPath || !strings.HasPrefix(p, "/") {
		return bad
	}
	for i, c := range strings.Split(p[1:], "/") {
		if c == "" || c == "." || c == ".." || len(c) > maxComponent ||
			strings.ContainsAny(c, "\x00\\:") || i == 0 && strings.EqualFold(c, ownDir) {
			return bad
		}
	}
	return nil
}

// untracked reports whether a path is part of an upload in progress.
// Repository components never begin with an underscore, so no package can
// have this name.
func untracked(p string) bool {
	return strings.Contains(p, "/_uploads/") || strings.HasSuffix(p, "/_uploads")
}

// hashState reports whether a path is a hash state that distribution saves of
// an upload: what it would otherwise get by reading the upload again.
func hashState(p string) bool { return untracked(p) && strings.Contains(p, "/hashstates/") }

// under reports whether p is dir or below it.
func under(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// full returns the file of a driver path.
func (d *disk) full(p string) string { return filepath.Join(d.root, filepath.FromSlash(p)) }

// blobPath is the driver path of a blob's content.
func blobPath(dgst digest.Digest) string {
	hex := dgst.Encoded()
	return path.Join(layout, "blobs", dgst.Algorithm().String(), hex[:2], hex, "data")
}

// blobDigest is the inverse of blobPath.
func blobDigest(p string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(p, layout+"/blobs/")
	if !ok {
		return "", false
	}
	part := strings.Split(rest, "/")
	if len(part) != 4 || part[3] != "data" {
		return "", false
	}
	dgst := digest.Digest(part[0] + ":" + part[2])
	return dgst, dgst.Validate() == nil
}
