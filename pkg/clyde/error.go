package clyde

import (
	"errors"
	"fmt"
)

// Kinds of failure. Callers test with errors.Is; edges map them to an HTTP
// status (pkg/api, pkg/registry, pkg/web) or an exit status (cmd/clyde).
var (
	ErrNotFound        = errors.New("not found")       // 404, exit 5
	ErrConflict        = errors.New("conflict")        // 409, exit 10
	ErrInvalid         = errors.New("invalid")         // 400 or 422, exit 12
	ErrUnauthenticated = errors.New("unauthenticated") // 401, exit 7
	ErrDenied          = errors.New("denied")          // 403, exit 7
	ErrTooLarge        = errors.New("too large")       // 413, exit 12
	ErrRateLimited     = errors.New("rate limited")    // 429, exit 9
	ErrUnavailable     = errors.New("unavailable")     // 503, exit 9
	ErrUnverified      = errors.New("unverified")      // exit 8; the server never returns it

	// ErrGone is what an administrator withdrew: 410, exit 5. It is ErrNotFound
	// too, so that whoever only asks whether a thing is there need not know it.
	ErrGone = fmt.Errorf("gone: %w", ErrNotFound)
)

// Error is a failure a person can act on. Msg is shown to that person as is,
// so it names the thing and the remedy and never carries a path of the server,
// a query or a secret. Err, when set, is the cause, kept for the log only.
type Error struct {
	Kind     error    // one of the Err values above
	Code     string   // stable, snake_case, for programs: "version_exists"; empty means the kind says enough
	Msg      string   // "version 1.2.0 of @acme/zlib is already published"
	Fixes    []string // what to do, one imperative sentence each; may be empty
	Problems Problems // what is wrong inside a document, when Kind is ErrInvalid
	Err      error    // cause, for the log
}

// Errorf returns an *Error of the given kind and no cause.
func Errorf(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// WithCode sets the stable code and returns e.
func (e *Error) WithCode(code string) *Error {
	e.Code = code
	return e
}

// Fix appends one sentence that says what to do and returns e.
func (e *Error) Fix(format string, args ...any) *Error {
	e.Fixes = append(e.Fixes, fmt.Sprintf(format, args...))
	return e
}

// Because sets the cause, which is logged and never shown, and returns e.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

func (e *Error) Error() string { return e.Msg }

// Unwrap gives errors.Is both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Wrap adds the call to *errp, for use as the first line of a function that
// can fail in more than one place:
//
//	defer clyde.Wrap(&err, "store.Release(%s, %s)", name, version)
func Wrap(errp *error, format string, args ...any) {
	if *errp != nil {
		*errp = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *errp)
	}
}

// AsError returns the *Error in err's tree, or nil.
func AsError(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return nil
	}
	return e
}
