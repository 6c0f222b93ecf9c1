package registry_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/internal/toolchaintest"
	"github.com/clydepm/clyde-registry/pkg/ingest"
	"github.com/clydepm/clyde-registry/pkg/registry"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// tool returns the path of a pinned command.
func tool(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(toolchaintest.Tools(t, name), name)
}

func TestClientsConformance(t *testing.T) {
	t.Parallel()
	bin := tool(t, "conformance")
	w := newWorld(t, func(o *registry.Options) {
		o.Accept = registry.AcceptAny
		o.Admit = &ingest.Admitter{DB: o.DB.(*store.DB), Accept: ingest.AcceptAny, Now: time.Now}
	})
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"OCI_VERSION=1.1", "OCI_REGISTRY="+w.host, "OCI_TLS=disabled", "OCI_REPO1=conf/one", "OCI_REPO2=conf/two",
		"OCI_USERNAME=admin", "OCI_PASSWORD="+w.admin, "OCI_RESULTS_DIR="+dir,
		"OCI_DATA_SHA512=false", "OCI_DATA_NONDISTRIBUTABLE=false")
	out, err := cmd.CombinedOutput()
	junit, rerr := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if rerr != nil {
		t.Fatalf("conformance: %v, %v\n%s", err, rerr, out)
	}
	passed, failed := 0, []string{}
	dec := xml.NewDecoder(bytes.NewReader(junit))
	for {
		tok, err := dec.Token()
		if err != nil {
			break
		}
		e, ok := tok.(xml.StartElement)
		if !ok || e.Name.Local != "testcase" {
			continue
		}
		var name, status string
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "name":
				name = a.Value
			case "status":
				status = strings.ToLower(a.Value)
			}
		}
		switch {
		case strings.HasPrefix(status, "pass"):
			passed++
		case strings.HasPrefix(status, "fail") || strings.HasPrefix(status, "err"):
			failed = append(failed, name)
		}
	}
	t.Logf("conformance: %d passed, %d failed", passed, len(failed))
	if passed < 500 || len(failed) > 0 || err != nil {
		t.Errorf("conformance: %d passed, want 500 at least; failed: %s\n%v\n%s", passed, strings.Join(failed, "\n"), err, tail(out, 4000))
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
