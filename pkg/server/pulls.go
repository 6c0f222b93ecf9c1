package server

import (
	"github.com/clydepm/clyde-registry/pkg/downloads"
	"github.com/clydepm/clyde-registry/pkg/limits"
	"github.com/clydepm/clyde-registry/pkg/registry"
)

// pulled counts a pull. Of the address, only what one subscriber has is told
// from what others have, and it is not kept.
func (p *Parts) pulled(g registry.Pull) {
	p.pulls.Pulled(g.Repo, g.Digest, limits.Address(g.Address), downloads.Classify(g.UserAgent, g.CI))
}
