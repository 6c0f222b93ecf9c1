package registry

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// challenge makes clients send a token: as the password, with any user name.
const challenge = `Basic realm="clyde"`

type ociErrors struct {
	Errors []ociError `json:"errors"`
}

// ociError is one error as the distribution specification writes it.
type ociError struct {
	Code    string     `json:"code"`
	Message string     `json:"message"`
	Detail  *ociDetail `json:"detail,omitempty"`
}

type ociDetail struct {
	Code     string         `json:"code,omitempty"` // ours, stable
	Kind     string         `json:"kind,omitempty"` // clyde.KindName, since 403 is sent for conflicts too
	Fixes    []string       `json:"fixes,omitempty"`
	Problems clyde.Problems `json:"problems,omitempty"`
}

// ociCodes maps our codes to the specification's; what is missing here goes by
// kind.
var ociCodes = map[string]string{
	"name_invalid":          "NAME_INVALID",
	"name_unknown":          "NAME_UNKNOWN",
	"package_unknown":       "NAME_UNKNOWN",
	"tag_invalid":           "TAG_INVALID",
	"digest_invalid":        "DIGEST_INVALID",
	"manifest_unknown":      "MANIFEST_UNKNOWN",
	"manifest_invalid":      "MANIFEST_INVALID",
	"blob_unknown":          "BLOB_UNKNOWN",
	"manifest_blob_unknown": "MANIFEST_BLOB_UNKNOWN",
	"upload_unknown":        "BLOB_UPLOAD_UNKNOWN",
	"upload_invalid":        "BLOB_UPLOAD_INVALID",
	"range_invalid":         "RANGE_INVALID",
	"size_invalid":          "SIZE_INVALID",
	"size_mismatch":         "SIZE_INVALID",
	"unsupported":           "UNSUPPORTED",
	"method_not_allowed":    "UNSUPPORTED",
}

// statusOf gives the HTTP status and the specification's code of an error.
func statusOf(e *clyde.Error) (int, string) {
	status, code := http.StatusInternalServerError, "UNKNOWN"
	switch {
	case errors.Is(e.Kind, clyde.ErrGone):
		status, code = http.StatusGone, "DENIED" // its message is shown, and says why
	case errors.Is(e.Kind, clyde.ErrNotFound):
		status, code = http.StatusNotFound, "NAME_UNKNOWN"
	case errors.Is(e.Kind, clyde.ErrInvalid):
		status, code = http.StatusBadRequest, "MANIFEST_INVALID"
	case errors.Is(e.Kind, clyde.ErrUnauthenticated):
		status, code = http.StatusUnauthorized, "UNAUTHORIZED"
	case errors.Is(e.Kind, clyde.ErrDenied), errors.Is(e.Kind, clyde.ErrConflict):
		status, code = http.StatusForbidden, "DENIED" // clients show DENIED's message and do not retry
	case errors.Is(e.Kind, clyde.ErrTooLarge):
		status, code = http.StatusRequestEntityTooLarge, "SIZE_INVALID"
	case errors.Is(e.Kind, clyde.ErrRateLimited):
		status, code = http.StatusTooManyRequests, "TOOMANYREQUESTS"
	case errors.Is(e.Kind, clyde.ErrUnavailable):
		status, code = http.StatusServiceUnavailable, "UNAVAILABLE"
	}
	if c, ok := ociCodes[e.Code]; ok {
		code = c
	}
	switch e.Code {
	case "blob_unknown":
		if status == http.StatusBadRequest { // a manifest's, not one that was asked for
			code = "MANIFEST_BLOB_UNKNOWN"
		}
	case "range_invalid":
		status = http.StatusRequestedRangeNotSatisfiable
	case "method_not_allowed":
		status = http.StatusMethodNotAllowed
	}
	return status, code
}

// fail answers with err. What is no *clyde.Error is logged and answered 500
// without its text.
func (r *Registry) fail(w http.ResponseWriter, req *http.Request, err error) {
	e := clyde.AsError(err)
	if e == nil {
		if req.Context().Err() == nil {
			r.log.ErrorContext(req.Context(), "registry: request failed", "method", req.Method, "path", req.URL.Path, "err", err)
		}
		e = clyde.Errorf(nil, "the registry failed; its log says why")
	} else if e.Err != nil && req.Context().Err() == nil {
		r.log.WarnContext(req.Context(), "registry: request refused", "method", req.Method, "path", req.URL.Path, "err", e.Msg, "cause", e.Err)
	}
	status, code := statusOf(e)
	msg := e.Msg
	if len(e.Fixes) > 0 { // most clients print the message alone
		msg += ". " + strings.Join(e.Fixes, " ")
	}
	o := ociError{Code: code, Message: msg}
	if e.Code != "" || len(e.Fixes) > 0 || len(e.Problems) > 0 {
		o.Detail = &ociDetail{Code: e.Code, Kind: clyde.KindName(e.Kind), Fixes: e.Fixes, Problems: e.Problems}
	}
	h := w.Header()
	for _, k := range []string{"Docker-Content-Digest", "ETag", "Location", "Content-Length", "Content-Disposition", "OCI-Subject"} {
		h.Del(k)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", "30")
		}
	}
	b, merr := json.Marshal(ociErrors{[]ociError{o}})
	if merr != nil {
		b = []byte(`{"errors":[{"code":"UNKNOWN","message":"the registry failed"}]}`)
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(b) // the client has gone; there is nobody to tell
	}
}
