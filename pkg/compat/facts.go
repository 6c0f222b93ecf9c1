package compat

// Facts is build.json: what a build is. An empty member is not known, or does
// not apply.
type Facts struct {
	Schema       int               `json:"schema"`                 // Version
	Language     string            `json:"language"`               // of the binary interface: c | cpp
	OS           string            `json:"os"`                     // linux, macos, windows, freebsd, …; any
	OSMin        string            `json:"os_min,omitempty"`       // oldest release it runs on: "12.0"
	Arch         string            `json:"arch"`                   // x86_64, arm64, …; any
	CPUBaseline  string            `json:"cpu_baseline,omitempty"` // least processor: x86-64-v1 … x86-64-v4
	Libc         Libc              `json:"libc,omitzero"`
	Compiler     Compiler          `json:"compiler,omitzero"`
	CXXStdlib    CXXStdlib         `json:"cxx_stdlib,omitzero"`    // for cpp
	CStd         string            `json:"c_std,omitempty"`        // least that a consumer must compile with: "11"
	CXXStd       string            `json:"cxx_std,omitempty"`      // the same of C++: "17"
	Exceptions   *bool             `json:"exceptions,omitempty"`   // nil: true
	RTTI         *bool             `json:"rtti,omitempty"`         // nil: true
	Runtime      string            `json:"runtime,omitempty"`      // of MSVC: MT | MTd | MD | MDd
	BuildType    string            `json:"build_type,omitempty"`   // Release | RelWithDebInfo | MinSizeRel | Debug
	Sanitizers   []string          `json:"sanitizers,omitempty"`   // address, memory, thread, undefined, …; sorted
	LTO          string            `json:"lto,omitempty"`          // "" | fat | slim: machine code beside the compiler's own, or none
	PIC          bool              `json:"pic"`                    // fits into shared libraries and PIE
	Linkage      string            `json:"linkage"`                // static | shared | both | executable | headers
	StdlibDebug  string            `json:"stdlib_debug,omitempty"` // "_GLIBCXX_DEBUG", "_ITERATOR_DEBUG_LEVEL=2"
	ABIDefines   map[string]string `json:"abi_defines,omitempty"`  // "_TIME_BITS": "64"
	Traits       map[string]string `json:"traits,omitempty"`       // every trait of the package with its value
	ABITraits    []string          `json:"abi_traits,omitempty"`   // those of Traits that change the binary interface; sorted
	Deps         []Dep             `json:"deps,omitempty"`         // what it was built against; sorted by name
	Flags        []string          `json:"flags,omitempty"`        // as given to the compiler; recorded
	SourceDigest string            `json:"source_digest"`          // "sha256:…" of the package's source archive
	Builder      Builder           `json:"builder,omitzero"`       // recorded
}

// Libc is the C library of a build.
type Libc struct {
	Family string `json:"family,omitempty"` // glibc | musl | msvcrt | ucrt | darwin | bsd
	Min    string `json:"min,omitempty"`    // oldest version it runs with: "2.34"
}

// Compiler is what compiled a build, or what a host compiles with.
type Compiler struct {
	Family  string `json:"family,omitempty" doc:"gcc, clang, apple-clang, msvc, mingw"`
	Version string `json:"version,omitempty" doc:"all its numbers"`
	Target  string `json:"target,omitempty" doc:"triple that it compiles for"`
}

// CXXStdlib is the C++ standard library of a build.
type CXXStdlib struct {
	Family           string `json:"family,omitempty"`             // libstdc++ | libc++ | msvc
	ABI              string `json:"abi,omitempty"`                // cxx11 | old (libstdc++); 1 | 2 (libc++)
	MinSymbolVersion string `json:"min_symbol_version,omitempty"` // of libstdc++: "3.4.30", which stands for GLIBCXX_3.4.30
}

// Dep is one package that a build was made against.
type Dep struct {
	Name     string `json:"name"` // "@acme/zlib"
	Version  string `json:"version"`
	ABIID    string `json:"abi_id,omitempty"`   // of the build used; "" for one without binaries
	Embedded bool   `json:"embedded,omitempty"` // linked into this build and hidden in it: no consumer meets it
}

// Builder says who built; nothing follows from it.
type Builder struct {
	ID         string `json:"id,omitempty"`         // "clyde/1.0", "https://github.com/acme/zlib/.github/workflows/release.yml"
	Run        string `json:"run,omitempty"`        // address of the run
	Repository string `json:"repository,omitempty"` // source repository
	Revision   string `json:"revision,omitempty"`   // its commit
	Created    string `json:"created,omitempty"`    // RFC 3339
}

// yes is the value of an optional fact that is true where nothing is said.
func yes(p *bool) bool { return p == nil || *p }

// cxx reports whether consumers meet the C++ side of the build.
func (f *Facts) cxx() bool { return f.Language == CPP && f.linked() }

// linked reports whether consumers link to the build.
func (f *Facts) linked() bool { return f.Linkage != Executable && f.Linkage != Headers }
