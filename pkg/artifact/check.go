package artifact

// CheckJSON refuses a manifest's JSON that two readers may understand
// differently. The error is ErrInvalid with code "manifest_invalid", or
// ErrTooLarge.
func CheckJSON(b []byte) error {
	if len(b) > MaxManifest {
		return tooLarge("manifest", int64(len(b)), MaxManifest)
	}
	if err := checkJSON(b); err != nil {
		return invalid("manifest_invalid", "the manifest cannot be read: %v", err)
	}
	return nil
}
