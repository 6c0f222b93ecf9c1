package compat

// Host is what the asking machine is, and how its user compiles. What is empty
// is not known: a build that needs it does not fit.
type Host struct {
	OS          string            `json:"os"`                   // as in Facts
	OSVersion   string            `json:"os_version,omitempty"` // "14.2"
	Arch        string            `json:"arch"`
	CPU         string            `json:"cpu,omitempty"` // what the processor can: x86-64-v1 … x86-64-v4
	Libc        HostLibc          `json:"libc,omitzero"`
	Compiler    Compiler          `json:"compiler,omitzero"`
	CXXStdlib   HostStdlib        `json:"cxx_stdlib,omitzero"`
	CStd        string            `json:"c_std,omitempty"`   // what is compiled with: by the flags, else the compiler's default
	CXXStd      string            `json:"cxx_std,omitempty"` // the same of C++
	Exceptions  *bool             `json:"exceptions,omitempty"`
	RTTI        *bool             `json:"rtti,omitempty"`
	Runtime     string            `json:"runtime,omitempty"`
	Sanitizers  []string          `json:"sanitizers,omitempty"`
	StdlibDebug string            `json:"stdlib_debug,omitempty"`
	ABIDefines  map[string]string `json:"abi_defines,omitempty"`
}

// HostLibc is the C library of a host.
type HostLibc struct {
	Family  string `json:"family,omitempty"`
	Version string `json:"version,omitempty"`
}

// HostStdlib is the C++ standard library that a host's compiler uses.
type HostStdlib struct {
	Family        string `json:"family,omitempty"`
	ABI           string `json:"abi,omitempty"`
	SymbolVersion string `json:"symbol_version,omitempty"` // newest that it has: "3.4.30"
}

// Want is what somebody asks of a build of one package.
type Want struct {
	BuildType  string            `json:"build_type,omitempty"`  // "" is Release
	Linkage    string            `json:"linkage,omitempty"`     // static | shared; "" takes either
	AnyLinkage bool              `json:"any_linkage,omitempty"` // takes the other one where there is none of Linkage
	PIC        bool              `json:"pic,omitempty"`         // archives must fit into shared libraries
	Traits     map[string]string `json:"traits,omitempty"`      // effective values; a trait that is not in it may have any
	// Deps are the packages that the build will be linked with, by
	// "@namespace/name"; one that is not in it may be any.
	Deps map[string]Dep `json:"deps,omitempty"`
}

// DefaultBuildType is wanted where nobody says.
const DefaultBuildType = "Release"
