package clyde

// Range is a set of versions. The zero Range contains every release that is
// not a prerelease.
type Range struct {
	raw string
}

// String returns the range as written, or "*" for the zero Range.
func (r Range) String() string {
	if r.raw == "" {
		return "*"
	}
	return r.raw
}
