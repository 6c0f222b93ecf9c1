package signing

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// What a signature check links is paid for by every build and by everyone who
// has to trust it: no cloud SDK, no policy engine, no command of cosign's.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		if ee, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	banned := []string{
		"k8s.io/api", "k8s.io/client-go", "k8s.io/apimachinery", // klog, a logger, comes with transparency logs
		"github.com/aws/", "github.com/Azure/", "cloud.google.com/", "google.golang.org/api/",
		"github.com/open-policy-agent/", "cuelang.org/",
		"github.com/sigstore/cosign/v2/cmd", "github.com/sigstore/cosign/v2/pkg/signature",
		"github.com/sigstore/cosign/v2/pkg/policy", "github.com/sigstore/cosign/v2/pkg/cosign/kubernetes",
	}
	for dep := range strings.Lines(string(out)) {
		for _, b := range banned {
			if strings.HasPrefix(dep, b) {
				t.Errorf("pkg/signing links %s", strings.TrimSpace(dep))
			}
		}
	}
}
