package web

import "net/http"

// Vouched returns the names that a provider vouched for a moment ago, for the
// session that r belongs to: what the API's claims of namespaces go by, too.
func (s *Web) Vouched(r *http.Request, session string) []string {
	if s.o.SignIn == nil {
		return nil
	}
	return s.o.SignIn.Vouched(cookie(r, namesCookie), session)
}
