// Package policy says whose signatures a package must carry. A policy is one
// YAML file in the words of sigstore's ClusterImagePolicy, with what a registry
// of packages needs besides: thresholds, required attestations, numbers of
// repositories and owners, validity of keys, revocations, and deny by default.
//
// The same code decides for the client, before anything is unpacked, and for
// any other place that has signatures to read: it asks signing what is proven
// and never looks at what objects say about themselves.
package policy
