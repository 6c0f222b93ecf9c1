package resolve

// Wish is what a query asks of binary builds besides that they fit the host:
// traits and dependencies are those that are chosen.
type Wish struct {
	BuildType  string `json:"build_type,omitempty" enum:"Release,RelWithDebInfo,MinSizeRel,Debug" doc:"absent: Release"`
	Linkage    string `json:"linkage,omitempty" enum:"static,shared" doc:"absent: either; a package whose trait shared is true is shared"`
	AnyLinkage bool   `json:"any_linkage,omitempty" doc:"take the other linkage where there is none of that one"`
	PIC        bool   `json:"pic,omitempty" doc:"archives must fit into shared libraries"`
}

// MaxWhyNot is how many builds of one package an answer says do not fit. Ours:
// a person reads fewer; the list of builds has them all.
const MaxWhyNot = 32

// BuildView is the build of a package that fits the host best.
type BuildView struct {
	ABIID    string `json:"abi_id" doc:"identity of the binary interface"`
	Digest   string `json:"digest" doc:"of the build's manifest: what is fetched"`
	Platform string `json:"platform" doc:"system and processor that it is for; any, of headers alone" example:"linux-x86_64"`
	Class    string `json:"class" enum:"exact,other_build_type,other_linkage,older_cpu" doc:"how well it fits"`
}

// WhyNot is a build that does not fit the host.
type WhyNot struct {
	Digest string `json:"digest" doc:"of its manifest"`
	Fact   string `json:"fact" doc:"the first fact that failed" example:"libc"`
	Why    string `json:"why" doc:"a sentence about it" example:"the C library: it needs glibc 2.36; this machine has 2.31"`
}
