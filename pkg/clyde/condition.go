package clyde

import (
	"regexp"
	"slices"
	"strings"
)

// MaxConditionLen is the longest condition accepted, in bytes: MaxTextLen, the
// bound of every line in package.yaml. It bounds the depth of the parser too.
const MaxConditionLen = MaxTextLen

// Truth is what is known of a condition: the order is that of Kleene's logic,
// so that and is the least and or the greatest of two.
type Truth int8

// The values of Truth. The zero value is Unknown.
const (
	False   Truth = -1
	Unknown Truth = 0
	True    Truth = 1
)

// TruthOf returns True or False.
func TruthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Condition is the when of a requirement: an expression over the platform and
// the traits of the package that requires. The zero Condition always holds.
type Condition struct {
	raw  string
	root *conditionNode
}

// conditionNode is an atom where op is 0.
type conditionNode struct {
	op          byte // '|', '&' or '!'
	left, right *conditionNode
	key, value  string
}

// conditionKeys is what may stand before = besides trait.NAME.
var conditionKeys = []string{"arch", "compiler", "libc", "os"}

var conditionTokenRE = regexp.MustCompile(`!=|[|&!()=]|[^\s|&!()=]+`)

// ParseCondition parses a condition:
//
//	linux                  a platform, as supports names them
//	os=linux arch!=x86     one fact: os, arch, libc or compiler
//	trait.tls=openssl      a trait of the package that requires
//	trait.tls              the same as trait.tls=true
//
// joined by |, & and ! with parentheses, & binding tighter than |. The empty
// text gives the Condition that always holds.
func ParseCondition(s string) (Condition, error) {
	if len(s) > MaxConditionLen {
		return Condition{}, conditionError("the condition is %d bytes long: the limit is %d", len(s), MaxConditionLen)
	}
	raw := strings.TrimSpace(s)
	if raw == "" {
		return Condition{}, nil
	}
	p := &conditionParser{raw: raw, tokens: conditionTokenRE.FindAllString(raw, -1)}
	n, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = conditionError("condition %s: %s is not expected there", quoted(raw), quoted(p.tokens[0])).Fix("join conditions by | or &")
	}
	if err != nil {
		return Condition{}, err
	}
	return Condition{raw: raw, root: n}, nil
}

func conditionError(format string, args ...any) *Error {
	return Errorf(ErrInvalid, format, args...).WithCode("condition_invalid")
}

type conditionParser struct {
	raw    string
	tokens []string
}

func (p *conditionParser) take(tok string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != tok {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *conditionParser) or() (*conditionNode, error) {
	n, err := p.and()
	for err == nil && p.take("|") {
		var right *conditionNode
		right, err = p.and()
		n = &conditionNode{op: '|', left: n, right: right}
	}
	return n, err
}

func (p *conditionParser) and() (*conditionNode, error) {
	n, err := p.not()
	for err == nil && p.take("&") {
		var right *conditionNode
		right, err = p.not()
		n = &conditionNode{op: '&', left: n, right: right}
	}
	return n, err
}

func (p *conditionParser) not() (*conditionNode, error) {
	if p.take("!") {
		n, err := p.not()
		return &conditionNode{op: '!', left: n}, err
	}
	if p.take("(") {
		n, err := p.or()
		if err == nil && !p.take(")") {
			err = conditionError("condition %s: a parenthesis is not closed", quoted(p.raw))
		}
		return n, err
	}
	return p.atom()
}

func (p *conditionParser) atom() (*conditionNode, error) {
	if len(p.tokens) == 0 {
		return nil, conditionError("condition %s ends where a platform or a trait is expected", quoted(p.raw))
	}
	word := p.tokens[0]
	if strings.Contains("|&!()!=", word) {
		return nil, conditionError("condition %s: %s stands where a platform or a trait is expected", quoted(p.raw), quoted(word))
	}
	p.tokens = p.tokens[1:]
	trait, isTrait := strings.CutPrefix(word, "trait.")
	if isTrait && !wordRE.MatchString(trait) {
		return nil, conditionError("condition %s: %s is not the name of a trait", quoted(p.raw), quoted(trait))
	}
	not := p.take("!=")
	if !not && !p.take("=") {
		if isTrait {
			return &conditionNode{key: word, value: "true"}, nil
		}
		if !slices.Contains(platforms, word) {
			return nil, conditionError("condition %s: %s is not a platform", quoted(p.raw), quoted(word)).
				Fix("write trait.%s for a trait of the package, or a platform such as linux", word)
		}
		return &conditionNode{value: word}, nil
	}
	if !isTrait && !slices.Contains(conditionKeys, word) {
		return nil, conditionError("condition %s: %s is not a fact that can be asked for", quoted(p.raw), quoted(word)).
			Fix("ask for one of %s, or write trait.%s for a trait of the package", strings.Join(conditionKeys, ", "), word)
	}
	if len(p.tokens) == 0 || !wordRE.MatchString(p.tokens[0]) {
		return nil, conditionError("condition %s: no value follows %s", quoted(p.raw), quoted(word))
	}
	n := &conditionNode{key: word, value: p.tokens[0]}
	p.tokens = p.tokens[1:]
	if not {
		return &conditionNode{op: '!', left: n}, nil
	}
	return n, nil
}

// String returns the condition as written, "" for the zero Condition.
func (c Condition) String() string { return c.raw }

// IsZero reports whether c is the zero Condition.
func (c Condition) IsZero() bool { return c.root == nil }

// Eval evaluates c. is answers an atom: key is "os", "arch", "libc",
// "compiler", "trait.NAME", or "" where value is a platform's identifier.
func (c Condition) Eval(is func(key, value string) Truth) Truth {
	if c.root == nil {
		return True
	}
	return c.root.eval(is)
}

func (n *conditionNode) eval(is func(key, value string) Truth) Truth {
	switch n.op {
	case '|':
		return max(n.left.eval(is), n.right.eval(is))
	case '&':
		return min(n.left.eval(is), n.right.eval(is))
	case '!':
		return -n.left.eval(is)
	}
	return is(n.key, n.value)
}

// Traits returns the names of the traits that c asks about, sorted, each once.
func (c Condition) Traits() []string {
	var names []string
	c.Eval(func(key, _ string) Truth {
		if name, ok := strings.CutPrefix(key, "trait."); ok {
			names = append(names, name)
		}
		return Unknown
	})
	slices.Sort(names)
	return slices.Compact(names)
}
