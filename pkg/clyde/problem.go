package clyde

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a document, at a place in it.
type Problem struct {
	Code    string `json:"code"`              // stable: "unknown_key", "version_invalid"
	Pointer string `json:"pointer,omitempty"` // RFC 6901 pointer into the document
	Line    int    `json:"line,omitempty"`    // from 1; 0 when unknown
	Column  int    `json:"column,omitempty"`  // from 1; 0 when unknown
	Msg     string `json:"detail"`            // a sentence that says what is wrong and what would be right
	Near    string `json:"near,omitempty"`    // nearest known key or value, when there is one
	Warning bool   `json:"warning,omitempty"` // allowed in a work tree; Publish turns some into errors
}

// String is "line:column: message [code]".
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", p.Line, p.Column)
	}
	b.WriteString(p.Msg)
	if p.Near != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", p.Near)
	}
	fmt.Fprintf(&b, " [%s]", p.Code)
	return b.String()
}

// Problems lists what is wrong, in document order.
type Problems []Problem

// Errors returns the problems that are not warnings.
func (ps Problems) Errors() Problems { return ps.filter(false) }

// Warnings returns the problems that are warnings.
func (ps Problems) Warnings() Problems { return ps.filter(true) }

func (ps Problems) filter(warning bool) Problems {
	var out Problems
	for _, p := range ps {
		if p.Warning == warning {
			out = append(out, p)
		}
	}
	return out
}

// Err returns nil when ps holds no error, else an *Error of kind ErrInvalid
// about what, carrying every problem. Its message holds the first problem and
// how many more there are.
func (ps Problems) Err(what string) error {
	errs := ps.Errors()
	if len(errs) == 0 {
		return nil
	}
	msg := fmt.Sprintf("%s: %s", what, errs[0])
	if n := len(errs) - 1; n > 0 {
		msg += fmt.Sprintf(" (and %d more)", n)
	}
	return &Error{Kind: ErrInvalid, Code: "invalid_package", Msg: msg, Problems: ps}
}
