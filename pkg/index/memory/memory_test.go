package memory_test

import (
	"testing"

	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

func TestEngine(t *testing.T) {
	t.Parallel()
	indextest.Run(t, func(*testing.T) index.Engine { return memory.New(memory.Options{}) })
}
