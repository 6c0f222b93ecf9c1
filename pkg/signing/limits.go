package signing

import "time"

// Bounds on what is read to find the signatures of one digest. Ours: a bundle
// made with a key is under 2 KiB and one with a certificate and a log entry
// under 16 KiB; attestations (an SBOM in a bundle) are what needs more. Without
// them, three 611 kB layers made cosign use 2.7 GB.
const (
	MaxManifests = 64              // referrers whose manifest is fetched
	MaxEntries   = 64              // layers examined in each .sig and .att manifest
	MaxBlob      = 1 << 20         // bytes of one signature manifest or layer
	MaxTotal     = 16 << 20        // bytes of all layers of one digest together
	Timeout      = 5 * time.Second // for all of it
	MaxKeys      = 64              // keys and identities one Verify tries
	MaxSubjects  = 256             // manifests that one statement names; sigstore's libraries read up to 1024
	MaxKeyPEM    = 16 << 10        // bytes of a key file; RSA 4096, encrypted, is under 6 KiB
)

// Limits bounds one Discover or Verify. A zero field stands for the constant of
// its name.
type Limits struct {
	MaxManifests int           // referrers
	MaxEntries   int           // layers per legacy manifest
	MaxBlob      int64         // bytes
	MaxTotal     int64         // bytes
	Timeout      time.Duration // overall
}

func (l Limits) withDefaults() Limits {
	if l.MaxManifests == 0 {
		l.MaxManifests = MaxManifests
	}
	if l.MaxEntries == 0 {
		l.MaxEntries = MaxEntries
	}
	if l.MaxBlob == 0 {
		l.MaxBlob = MaxBlob
	}
	if l.MaxTotal == 0 {
		l.MaxTotal = MaxTotal
	}
	if l.Timeout == 0 {
		l.Timeout = Timeout
	}
	return l
}
