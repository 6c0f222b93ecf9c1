// Package api is the REST API of the registry, described by an OpenAPI 3.1
// document that it serves itself, and the change feed. A handler parses,
// asks pkg/catalog or pkg/ingest as the caller, and answers; rules about
// packages live below it.
//
// What is private to others looks exactly like what does not exist. Every
// failure is a problem document (RFC 9457) that says what to do.
package api
