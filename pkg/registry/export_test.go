package registry

// ForgetBodies empties the cache of manifests.
func (r *Registry) ForgetBodies() { r.bodies = newBodyCache(maxCachedBytes) }
