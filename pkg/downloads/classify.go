package downloads

import (
	"strings"
	"unicode"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// Source is what is kept of whoever pulls: words of closed lists.
type Source struct {
	Kind     string // store.People | store.CI | store.Robot
	Client   string
	Platform string // "linux-x86_64"; "unknown" where neither is told
}

// Words for what no list has.
const (
	unknown = "unknown" // the client does not say
	other   = "other"   // it does
)

// clients is a family for the first word of a User-Agent.
var clients = map[string]string{
	"clyde": "clyde", "oras": "oras", "docker": "docker", "containerd": "containerd", "buildkit": "docker", "podman": "podman",
	"buildah": "podman", "skopeo": "skopeo", "containers": "skopeo", "crane": "crane", "go-containerregistry": "crane",
	"gcrane": "crane", "cosign": "cosign", "regclient": "regctl", "regctl": "regctl", "helm": "helm", "kaniko": "kaniko",
	"curl": "curl", "wget": "wget", "go-http-client": "go", "python-requests": "python", "python-urllib": "python",
	"python-httpx": "python", "mozilla": "browser", "cmake": "cmake", "bazel": "bazel", "conan": "conan", "zot": "zot", "harbor-registry-client": "harbor",
}

// robots are parts of the User-Agents of programs that fetch what nobody asked
// them for: crawlers, scanners, mirrors, probes.
var robots = []string{
	"bot", "crawl", "spider", "slurp", "scanner", "trivy", "clair", "grype", "harbor", "zot/", "mirror", "uptime", "monitor",
	"healthcheck", "headless", "archiver", "renovate", "probe",
}

// machines are parts of the User-Agents of continuous integration: ours says
// "ci" in its parentheses.
var machines = []string{"; ci)", "github-actions", "gitlab-runner", "jenkins", "buildkite", "circleci", "teamcity", "azure-pipelines", "woodpecker", "kaniko"}

var systems = map[string]string{
	"linux": "linux", "darwin": "macos", "macos": "macos", "macintosh": "macos", "windows": "windows", "freebsd": "freebsd",
	"openbsd": "openbsd", "netbsd": "netbsd", "android": "android",
}

var machinesOf = map[string]string{
	"amd64": "x86_64", "x86_64": "x86_64", "x64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64", "386": "x86", "i386": "x86",
	"i686": "x86", "arm": "arm", "armv7l": "arm", "riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x",
}

// maxAgent is how much of a User-Agent is looked at, in bytes; ours: those of
// docker, the longest of clients, have 250.
const maxAgent = 512

// Classify says what a User-Agent is. With ci it is known from elsewhere, such
// as from the token, that a machine of continuous integration asks.
func Classify(userAgent string, ci bool) Source {
	ua := strings.ToLower(userAgent[:min(len(userAgent), maxAgent)])
	s := Source{Kind: store.People, Client: unknown, Platform: platform(ua)}
	if first, _, _ := strings.Cut(ua, " "); first != "" {
		first, _, _ = strings.Cut(first, "/")
		if s.Client = clients[first]; s.Client == "" {
			s.Client = other
		}
	}
	switch {
	case ci || hasAny(ua, machines):
		s.Kind = store.CI
	case hasAny(ua, robots):
		s.Kind = store.Robot
	}
	return s
}

func hasAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// platform finds the first system and the first processor that are named.
func platform(ua string) string {
	system, machine := "", ""
	for word := range strings.FieldsFuncSeq(ua, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if s := systems[word]; s != "" && system == "" {
			system = s
		}
		if m := machinesOf[word]; m != "" && machine == "" {
			machine = m
		}
	}
	switch {
	case system == "":
		return unknown
	case machine == "":
		return system
	}
	return system + "-" + machine
}
