package clyde

// MaxVersionLen is the longest version accepted, in bytes, so that "_" and
// sixteen hex digits of an abi_id still fit an OCI tag of 128.
const MaxVersionLen = 111

// Version is a release number in one of four kinds with one total order: SemVer
// 2.0.0, dotted numbers of one to six parts, dates, and letter suffixes. The
// zero Version is no version.
type Version struct {
	raw string
}

// String returns the version as written.
func (v Version) String() string { return v.raw }
