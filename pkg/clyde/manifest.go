package clyde

// Manifest is a parsed package.yaml. Lists and maps are in document order
// where order means something and sorted where it does not (Requires and the
// other requirement lists, by name). Fields that the document leaves out are
// zero, after defaults: Type "library", Include ["include"], Registry.Publish
// true, Registry.Access "public".
type Manifest struct {
	Schema          int
	Name            Name    // Namespace is "" where the document leaves it out
	Version         Version // zero when absent
	UpstreamVersion string
	Type            string // library | application | foreign | header-only | plugin | tool | meta
	Language        string // c | cpp; "" when absent
	Standard        Standard
	Description     string
	License         string // SPDX expression as written
	LicenseFile     string
	Authors         []Author
	Homepage        string
	Repository      string
	Documentation   string
	Issues          string
	Changelog       string // path in the package
	Readme          string // path in the package
	Keywords        []string
	Categories      []string
	Sources         []string
	Include         []string
	Files           FileSet
	CFlags          map[string][]string // by gcc, gxx, clang, clangxx, msvc
	LDFlags         map[string][]string
	Requires        []Requirement
	DevRequires     []Requirement
	BuildRequires   []Requirement
	Overrides       map[Name]Range // in place of what anybody requires; counts in a project's own package.yaml alone
	System          map[string][]string
	Provides        []string
	Conflicts       []Requirement
	Replaces        []string
	Traits          []Trait
	Variants        map[string]any
	Supports        string
	Build           BuildSpec
	Components      map[string]Component // exports.components
	ABI             ABI
	Security        Security
	Registry        Registry
	Extra           map[string]any // x-… keys

	written written
}

// Standard is the least language standard a consumer must compile with.
type Standard struct{ C, CXX string } // "11", "17"

// Author is one entry of authors.
type Author struct {
	Name   string `json:"name"`
	Email  string `json:"email,omitempty"`
	GitHub string `json:"github,omitempty"`
}

// FileSet is the globs that choose what is packed.
type FileSet struct{ Include, Exclude []string }

// Requirement is one entry of requires, dev_requires, build_requires or
// conflicts.
type Requirement struct {
	Name       string            // as written: "@x/zlib", or "zlib" in a work tree
	Range      Range             // zero means any version
	Local      string            // path after local:, in a work tree only
	Git        string            // what follows git:, in a work tree only
	Traits     map[string]string // sorted by key when printed
	Visibility string            // public | private | interface; default public
	Optional   bool
	When       string // condition, as written
}

// Trait is one switch of the package.
type Trait struct {
	Name        string
	Type        string // bool | enum | string
	Default     string
	Values      []string // of an enum
	ABI         bool     // part of abi_id
	Description string
}

// BuildSpec says how the source is built. It is data: nothing runs while
// resolving or in the registry.
type BuildSpec struct {
	System string // cmake | meson | make | autotools | clyde | none; "" when absent
	Args   []string
}

// Component is one linkable part that the package exports.
type Component struct {
	Type            string // archive | dylib | module | interface | executable | symbolic
	Includes        []string
	Definitions     []string
	CompileFeatures []string
	Requires        []string // "@y/fmt:fmt"
	LinkLibraries   []string
	Location        string
}

// ABI is the promise about binary compatibility.
type ABI struct{ Policy, SOName string }

// Security says where reports go and which upstream advisories apply.
type Security struct {
	Policy         string
	CPE            string
	UpstreamURL    string
	UpstreamCommit string
}

// Registry is how the package wants to be published.
type Registry struct {
	Publish bool
	Access  string // public | private
}

// written is what the document says in its own words, for messages about it.
type written struct {
	name, version string              // as they stand in the document
	at            map[string]position // by pointer: of the document, its keys and theirs
	unpublishable Problems            // parsed with a warning, refused by CheckPublish
}
