package clyde

import (
	"regexp"
	"strings"
)

// MaxSupportsLen is the longest supports expression accepted, in bytes. Ours.
const MaxSupportsLen = 1000

// platforms is every identifier that supports knows; another one is legal, for
// platforms to come, and warned about.
var platforms = []string{
	"aix", "android", "arm", "arm64", "bare-metal", "bsd", "clang", "emscripten", "freebsd", "gcc", "haiku", "ios",
	"linux", "loongarch64", "macos", "mingw", "mips", "mips64", "msvc", "musl", "netbsd", "openbsd", "osx", "posix", "ppc64",
	"ppc64le", "qnx", "riscv32", "riscv64", "s390x", "shared", "solaris", "static", "tvos", "uwp", "visionos",
	"wasm", "wasm32", "wasm64", "watchos", "windows", "x64", "x86", "x86_64", "xbox",
}

var (
	supportsTokenRE = regexp.MustCompile(`[|&!()]|[^\s|&!()]+`)
	supportsIDRE    = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
)

// Supports evaluates a supports expression: identifiers joined by |, & and !
// with parentheses, & binding tighter than |. is tells which identifiers are
// true. The empty expression is true. An ErrInvalid error says what is wrong
// with expr.
func Supports(expr string, is func(identifier string) bool) (bool, error) {
	if len(expr) > MaxSupportsLen {
		return false, supportsError("supports is %d bytes long: the limit is %d", len(expr), MaxSupportsLen)
	}
	if strings.TrimSpace(expr) == "" {
		return true, nil
	}
	p := &supportsParser{raw: expr, tokens: supportsTokenRE.FindAllString(expr, -1), is: is}
	ok, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = supportsError("supports %s: %s is not expected there", quoted(expr), quoted(p.tokens[0])).Fix("join platforms by | or &")
	}
	return ok && err == nil, err
}

// supportsParser evaluates while it parses; the depth is bounded by
// MaxSupportsLen.
type supportsParser struct {
	raw    string
	tokens []string
	is     func(string) bool
}

func supportsError(format string, args ...any) *Error {
	return Errorf(ErrInvalid, format, args...).WithCode("supports_invalid")
}

func (p *supportsParser) take(tok string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != tok {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *supportsParser) or() (bool, error) {
	ok, err := p.and()
	for err == nil && p.take("|") {
		var right bool
		right, err = p.and()
		ok = ok || right
	}
	return ok, err
}

func (p *supportsParser) and() (bool, error) {
	ok, err := p.not()
	for err == nil && p.take("&") {
		var right bool
		right, err = p.not()
		ok = ok && right
	}
	return ok, err
}

func (p *supportsParser) not() (bool, error) {
	if p.take("!") {
		ok, err := p.not()
		return !ok, err
	}
	if p.take("(") {
		ok, err := p.or()
		if err == nil && !p.take(")") {
			err = supportsError("supports %s: a parenthesis is not closed", quoted(p.raw))
		}
		return ok, err
	}
	if len(p.tokens) == 0 {
		return false, supportsError("supports %s ends where a platform is expected", quoted(p.raw))
	}
	id := p.tokens[0]
	if !supportsIDRE.MatchString(id) {
		return false, supportsError("supports %s: %s is not a platform", quoted(p.raw), quoted(id)).Fix("use lower-case names such as linux, joined by | & ! and parentheses")
	}
	p.tokens = p.tokens[1:]
	return p.is(id), nil
}
