// Package client is the Go client of a registry's REST API, as
// api/v1/openapi.json describes it. It knows the JSON forms and nothing of the
// server: every failure comes back as the *clyde.Error that the server meant,
// and a registry that cannot be reached as clyde.ErrUnavailable.
package client
