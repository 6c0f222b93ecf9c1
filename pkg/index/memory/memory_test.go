package memory_test

import (
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/index"
	"github.com/clydepm/clyde-registry/pkg/index/indextest"
	"github.com/clydepm/clyde-registry/pkg/index/memory"
)

// patient engines are not cut short on a machine that is busy with other tests.
var patient = memory.Options{Budget: time.Minute}

func TestEngine(t *testing.T) {
	t.Parallel()
	indextest.Run(t, func(*testing.T) index.Engine { return memory.New(patient) })
}
