// Package signing signs packages and says who signed them, interchangeably
// with cosign v2 and v3.
//
// A signature is an OCI object that points at a manifest: a sigstore bundle as
// a referrer (ours and cosign v3's default) or a layer under the tag
// sha256-<hex>.sig (cosign v2's). All of them are read, always: who may push
// one object must not be able to hide another. What signature objects say about
// themselves (artifact types, annotations, key hints) only helps to find and to
// explain; a verdict rests on signed bytes alone.
//
// Everything here reads bytes that strangers wrote. Discover bounds how much it
// fetches and never decompresses.
package signing
