package clyde

import "time"

// Action says what an Event reports.
type Action string

// The actions of an Event.
const (
	ActionPush   Action = "push"   // a manifest was stored, tagged when Tag is set
	ActionDelete Action = "delete" // a tag or a manifest is gone
)

// Event is a hint that something changed in a registry. It is durable before
// anyone is told it was accepted, and says where to look, not what to believe:
// ingest.Apply reads the registry again.
type Event struct {
	ID       int64     `json:"id"`              // the inbox row
	Source   string    `json:"source"`          // "registry" (our own), "sweep", "api", or an endpoint's name
	Action   Action    `json:"action"`          //
	Repo     string    `json:"repo"`            // "acme/zlib"
	Tag      string    `json:"tag,omitempty"`   // empty when pushed by digest only
	Digest   string    `json:"digest"`          // of the manifest; empty for a deleted tag
	Actor    string    `json:"actor,omitempty"` // who pushed, as account.Principal.String gives it
	Received time.Time `json:"received"`
}
