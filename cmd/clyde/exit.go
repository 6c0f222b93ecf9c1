package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/install"
	"github.com/clydepm/clyde-registry/pkg/resolve"
)

// Exit statuses. Scripts rely on these numbers; docs/cli.md lists them. 4 is the
// Clyde build client's.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitBuild       = 3 // a package could not be built
	exitNotFound    = 5
	exitNoVersion   = 6 // no version fits, or requirements that exclude each other
	exitDenied      = 7
	exitUnverified  = 8
	exitUnavailable = 9
	exitConflict    = 10
	exitPolicy      = 11 // licences that exclude each other, or are denied
	exitInvalid     = 12
	exitInterrupted = 130
)

// errNoVersion is the kind of failure where a package exists and no version of
// it is in the range asked for.
var errNoVersion = errors.New("no version fits")

// isUnsatisfiable reports whether requirements exclude each other.
func isUnsatisfiable(err error) bool {
	_, ok := resolve.IsUnsatisfiable(err)
	return ok
}

// usageError is a command line that cannot be meant: exit status 2.
type usageError struct {
	msg   string
	fixes []string
}

func usagef(format string, args ...any) *usageError {
	return &usageError{msg: fmt.Sprintf(format, args...)}
}

func (e *usageError) fix(format string, args ...any) *usageError {
	e.fixes = append(e.fixes, fmt.Sprintf(format, args...))
	return e
}

func (e *usageError) Error() string { return e.msg }

// shownError is a failure whose description has been printed already: only its
// exit status is left to say.
type shownError struct{ err error }

func (e shownError) Error() string { return e.err.Error() }
func (e shownError) Unwrap() error { return e.err }

// manifestError is a package.yaml that is wrong: its problems are printed with
// their places in the file at path.
type manifestError struct {
	path string
	err  error
}

func (e manifestError) Error() string { return e.err.Error() }
func (e manifestError) Unwrap() error { return e.err }

// status returns the exit status for err.
func status(ctx context.Context, err error) int {
	var usage *usageError
	var op *net.OpError
	var ue *url.Error
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, install.ErrBuild):
		return exitBuild
	case errors.Is(err, clyde.ErrUnverified):
		return exitUnverified
	case errors.Is(err, errPolicy):
		return exitPolicy
	case errors.Is(err, errNoVersion), isUnsatisfiable(err):
		return exitNoVersion
	case errors.Is(err, clyde.ErrNotFound):
		return exitNotFound
	case errors.Is(err, clyde.ErrUnauthenticated), errors.Is(err, clyde.ErrDenied):
		return exitDenied
	case errors.Is(err, clyde.ErrConflict):
		return exitConflict
	case errors.Is(err, clyde.ErrInvalid), errors.Is(err, clyde.ErrTooLarge):
		return exitInvalid
	case errors.Is(err, clyde.ErrRateLimited), errors.Is(err, clyde.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded), errors.As(err, &op), errors.As(err, &ue):
		return exitUnavailable
	}
	return exitError
}

// errorJSON is what --json prints of a failure.
type errorJSON struct {
	Code     string         `json:"code,omitempty"`
	Message  string         `json:"message"`
	Fixes    []string       `json:"fixes,omitempty"`
	Problems clyde.Problems `json:"problems,omitempty"`
	// Candidates are the packages that a name without its namespace may mean.
	Candidates []string `json:"candidates,omitempty"`
	// Lines, Packages and Changes are the proof that requirements exclude each
	// other, and what was tried and helps.
	Lines    []string      `json:"lines,omitempty"`
	Packages []clyde.Name  `json:"packages,omitempty"`
	Changes  []resolve.Fix `json:"changes,omitempty"`
	Status   int           `json:"exit_status"`
}

// finish prints err for a person, and for a program under --json, and returns
// the exit status.
func (a *app) finish(ctx context.Context, err error) int {
	code := status(ctx, err)
	if err == nil {
		return code
	}
	if _, shown := errors.AsType[shownError](err); shown {
		return code
	}
	if code == exitInterrupted {
		err = clyde.Errorf(context.Canceled, "interrupted").WithCode("interrupted")
	}
	out := a.explain(err)
	out.Status = code
	// A reply that was printed is the one object on standard output.
	if _, ok := errors.AsType[replied](err); a.json && !ok {
		if b, jerr := json.Marshal(out); jerr == nil {
			_ = a.emitRaw("error", b)
		}
	}
	return code
}

// explain prints err for a person: what happened, to what, and how to mend it.
func (a *app) explain(err error) errorJSON {
	out := errorJSON{Message: err.Error()}
	if usage, ok := errors.AsType[*usageError](err); ok {
		out.Fixes, out.Code = usage.fixes, "usage"
	} else if e := clyde.AsError(err); e != nil {
		out.Message, out.Code, out.Fixes, out.Problems = e.Msg, e.Code, e.Fixes, e.Problems
	}
	if short, ok := errors.AsType[shortName](err); ok {
		for _, p := range short.candidates {
			out.Candidates = append(out.Candidates, p.Name)
		}
	}
	said := out.Message
	if bad, ok := errors.AsType[manifestError](err); ok {
		a.problems(bad.path, out.Problems)
		said = bad.path + ": " + plural(len(out.Problems.Errors()), "error")
	} else if len(out.Problems) > 1 || len(out.Problems) == 1 && !strings.Contains(said, out.Problems[0].Msg) {
		a.problems("package.yaml", out.Problems)
	}
	if f, ok := resolve.IsUnsatisfiable(err); ok {
		out.Lines, out.Packages, out.Changes = f.Lines, f.Packages, f.Fixes
		lines := proofText(f, said)
		for _, l := range lines[1:] {
			lines[0] += "\n" + clean(l)
		}
		fmt.Fprintf(a.stderr, "%s %s\n", a.paint(a.stderr, red, "clyde:"), lines[0])
	} else {
		fmt.Fprintf(a.stderr, "%s %s\n", a.paint(a.stderr, red, "clyde:"), clean(strings.TrimSuffix(said, ".")))
	}
	for _, f := range out.Fixes {
		fmt.Fprintf(a.stderr, "  try: %s\n", clean(f))
	}
	return out
}

// problems prints what is wrong with a file as compilers do.
func (a *app) problems(path string, ps clyde.Problems) {
	for _, p := range ps {
		kind := a.paint(a.stderr, red, "error:")
		if p.Warning {
			kind = a.paint(a.stderr, yellow, "warning:")
		}
		at := path
		if p.Line > 0 {
			at = fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column)
		}
		near := ""
		if p.Near != "" {
			near = fmt.Sprintf(" (did you mean %q?)", p.Near)
		}
		fmt.Fprintf(a.stderr, "%s: %s %s [%s]\n", clean(at), kind, clean(p.Msg+near), p.Code)
		if a.annotates {
			n := annotation{kind: "error", file: path, line: p.Line, column: p.Column, title: p.Code, text: p.Msg + near}
			if p.Warning {
				n.kind = "warning"
			}
			_ = a.annotate(n) // the failure itself is reported all the same
		}
	}
}
