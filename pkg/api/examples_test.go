package api

import (
	"regexp"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/policy"
)

// The policy that the documents show is one, and is met by who they say signed.
func TestExamplePolicy(t *testing.T) {
	t.Parallel()
	p, err := policy.Parse([]byte(examplePolicy))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckNamespace(exampleSigningPolicy.Namespace, p.Trusts); err != nil {
		t.Error(err)
	}
	found := regexp.MustCompile(`subjectRegExp: '(.*?)'`).FindStringSubmatch(examplePolicy)
	signer, _, _ := strings.Cut(exampleStanding.Signers[0], " ")
	if found == nil || !regexp.MustCompile("^(?:"+found[1]+")$").MatchString(signer) {
		t.Errorf("%q does not match %s", found, signer)
	}
}
