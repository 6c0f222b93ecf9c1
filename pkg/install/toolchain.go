package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// detectTimeout bounds one question to a compiler. Ours: they answer within
// hundredths of a second; a cold disk takes longer.
const detectTimeout = 20 * time.Second

// Toolchain is what builds packages: CC, CXX and AR of the environment, else
// the first of the usual names on PATH. An empty path is a tool that is not
// there, which matters only once something has to be built with it.
type Toolchain struct {
	CC, CXX, AR string // absolute paths
	// Family is gcc, clang or another name that the compiler goes by; Version
	// is "12.2.0", Target "x86_64-linux-gnu".
	Family, Version, Target string
	// Stamp changes when a compiler is replaced: its path, size and time.
	Stamp string
}

// usual names a tool by the variable that chooses it.
var usual = []struct {
	env   string
	names []string
}{
	{"CC", []string{"cc", "gcc", "clang"}},
	{"CXX", []string{"c++", "g++", "clang++"}},
	{"AR", []string{"ar", "llvm-ar"}},
}

// DetectToolchain looks for the compilers and asks the C compiler, or the C++
// one where there is no other, what it is. The answer is kept in the store
// until the compiler changes. A variable that names no program is an
// ErrNotFound error; no compiler at all is none.
func DetectToolchain(ctx context.Context, s *Store) (t Toolchain, err error) {
	stamp := sha256.New()
	for i, to := range []*string{&t.CC, &t.CXX, &t.AR} {
		if *to, err = findTool(usual[i].env, usual[i].names); err != nil {
			return t, err
		}
		if *to == "" {
			continue
		}
		// The file behind the links: updating a distribution's compiler changes it.
		real, err := filepath.EvalSymlinks(*to)
		if err != nil {
			return t, err
		}
		info, err := os.Stat(real)
		if err != nil {
			return t, err
		}
		fmt.Fprintf(stamp, "%s\x00%s\x00%d\x00%d\x00", *to, real, info.Size(), info.ModTime().UnixNano())
	}
	t.Stamp = hex.EncodeToString(stamp.Sum(nil))
	ask := t.CC
	if ask == "" {
		ask = t.CXX
	}
	if ask == "" {
		return t, nil
	}
	known := s.path("tmp", "toolchain-"+t.Stamp)
	if b, err := os.ReadFile(known); err == nil {
		var old Toolchain
		if json.Unmarshal(b, &old) == nil && old.Stamp == t.Stamp {
			return old, nil
		}
	}
	if err := t.ask(ctx, ask); err != nil {
		return t, err
	}
	b, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	return t, writeFile(known, b)
}

func findTool(env string, names []string) (string, error) {
	if name := os.Getenv(env); name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", clyde.Errorf(clyde.ErrNotFound, "%s names %q, which is no program", env, name).WithCode("tool_missing").
				Fix("set %s to the path of a compiler alone; flags belong into CFLAGS", env)
		}
		return filepath.Abs(path)
	}
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", nil
}

func (t *Toolchain) ask(ctx context.Context, cc string) error {
	ctx, cancel := context.WithTimeout(ctx, detectTimeout)
	defer cancel()
	answer := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, cc, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		b, err := cmd.Output()
		if err != nil {
			return "", clyde.Errorf(clyde.ErrInvalid, "%s %s fails: %v", cc, strings.Join(args, " "), err).WithCode("compiler_unusable").
				Fix("set CC to a C compiler that works")
		}
		return strings.TrimSpace(string(b)), nil
	}
	banner, err := answer("--version")
	if err != nil {
		return err
	}
	switch low := strings.ToLower(banner); {
	case strings.Contains(low, "clang"):
		t.Family = "clang"
	case strings.Contains(low, "gcc") || strings.Contains(low, "free software foundation"):
		t.Family = "gcc"
	default:
		t.Family, _, _ = strings.Cut(low, " ")
	}
	if t.Target, err = answer("-dumpmachine"); err != nil {
		return err
	}
	flag := "-dumpversion"
	if t.Family == "gcc" {
		flag = "-dumpfullversion"
	}
	t.Version, err = answer(flag)
	return err
}

// Platform is what conditions and supports expressions ask about: this system
// as the compiler sees it.
func (t *Toolchain) Platform() resolve.Platform {
	p := resolve.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH, Compiler: t.Family}
	if p.OS == "darwin" {
		p.OS = "macos"
	}
	if p.Arch == "amd64" {
		p.Arch = "x86_64"
	}
	if arch, _, ok := strings.Cut(t.Target, "-"); ok {
		switch arch {
		case "aarch64":
			arch = "arm64"
		case "i386", "i486", "i586", "i686":
			arch = "x86"
		}
		p.Arch = arch
	}
	switch {
	case p.OS != "linux":
	case strings.Contains(t.Target, "musl"):
		p.Libc = "musl"
	case strings.Contains(t.Target, "gnu"):
		p.Libc = "glibc"
	}
	return p
}

// String is "gcc 12.2.0 for x86_64-linux-gnu".
func (t *Toolchain) String() string {
	if t.Family == "" {
		return "no compiler"
	}
	return t.Family + " " + t.Version + " for " + t.Target
}
