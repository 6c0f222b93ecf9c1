package clyde

import "errors"

// kinds are the kinds that a server tells, the narrower before the wider.
var kinds = []error{
	ErrGone, ErrNotFound, ErrConflict, ErrInvalid, ErrUnauthenticated, ErrDenied, ErrTooLarge, ErrRateLimited, ErrUnavailable,
}

// KindName is how the kind of err is called where it travels between programs:
// "conflict". It is "" for an error of no kind, and for ErrUnverified, which no
// server tells.
func KindName(err error) string {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k.Error()
		}
	}
	return ""
}

// KindNamed is the reverse of KindName: the kind of that name, or nil.
func KindNamed(name string) error {
	for _, k := range kinds {
		if name == k.Error() {
			return k
		}
	}
	return nil
}

// KindOfStatus is the kind of failure that an HTTP status stands for (RFC 9110,
// section 15), or nil for one below 400. A status of the client's own making
// without a kind of its own is ErrInvalid, one of the server's ErrUnavailable.
func KindOfStatus(status int) error {
	switch status {
	case 401:
		return ErrUnauthenticated
	case 403:
		return ErrDenied
	case 404:
		return ErrNotFound
	case 408, 425: // the same again may pass
		return ErrUnavailable
	case 409, 412:
		return ErrConflict
	case 410:
		return ErrGone
	case 413:
		return ErrTooLarge
	case 429:
		return ErrRateLimited
	}
	switch {
	case status < 400:
		return nil
	case status < 500:
		return ErrInvalid
	}
	return ErrUnavailable
}
