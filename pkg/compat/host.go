package compat

// Host is what the asking machine is, and how its user compiles. What is empty
// is not known: a build that needs it does not fit.
type Host struct {
	OS          string            `json:"os" doc:"linux, macos, windows, freebsd, …"`
	OSVersion   string            `json:"os_version,omitempty" doc:"release of the system"`
	Arch        string            `json:"arch" doc:"x86_64, arm64, …"`
	CPU         string            `json:"cpu,omitempty" doc:"what the processor can: x86-64-v1 to x86-64-v4"`
	Libc        HostLibc          `json:"libc,omitzero" doc:"its C library"`
	Compiler    Compiler          `json:"compiler,omitzero" doc:"what it compiles with"`
	CXXStdlib   HostStdlib        `json:"cxx_stdlib,omitzero" doc:"C++ standard library of that compiler"`
	CStd        string            `json:"c_std,omitempty" doc:"standard of C that is compiled with"`
	CXXStd      string            `json:"cxx_std,omitempty" doc:"the same of C++"`
	Exceptions  *bool             `json:"exceptions,omitempty" doc:"absent: on"`
	RTTI        *bool             `json:"rtti,omitempty" doc:"absent: on"`
	Runtime     string            `json:"runtime,omitempty" doc:"of MSVC: MT, MTd, MD, MDd"`
	Sanitizers  []string          `json:"sanitizers,omitempty" doc:"that are compiled with"`
	StdlibDebug string            `json:"stdlib_debug,omitempty" doc:"debug mode of the standard library"`
	ABIDefines  map[string]string `json:"abi_defines,omitempty" doc:"definitions that change the binary interface"`
}

// HostLibc is the C library of a host.
type HostLibc struct {
	Family  string `json:"family,omitempty" doc:"glibc, musl, …"`
	Version string `json:"version,omitempty" doc:"the one that is installed"`
}

// HostStdlib is the C++ standard library that a host's compiler uses.
type HostStdlib struct {
	Family        string `json:"family,omitempty" doc:"libstdc++, libc++, msvc"`
	ABI           string `json:"abi,omitempty" doc:"cxx11 or old; 1 or 2 of libc++"`
	SymbolVersion string `json:"symbol_version,omitempty" doc:"newest that it has, of libstdc++"`
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
