package api

import (
	"context"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// MaxLeaks bounds one report of a secret scanner, in entries. Ours: each costs
// a look-up, and those of GitHub have a few.
const MaxLeaks = 200

// LeakResult is what became of one entry of a report.
type LeakResult struct {
	Token string `json:"token_raw" doc:"as it was reported"`
	Type  string `json:"token_type" doc:"as it was reported"`
	Label string `json:"label" enum:"true_positive,false_positive" doc:"true_positive: it was a token in force, and is revoked now"`
}

type leakInput struct {
	ID        string `header:"Github-Public-Key-Identifier" maxLength:"200" doc:"Which key signed the body."`
	Signature string `header:"Github-Public-Key-Signature" maxLength:"400" doc:"Base64 of the ASN.1 form of an ECDSA signature over P-256 and SHA-256 of the body."`
	RawBody   []byte
	Body      []Leak `maxItems:"200"`
}

type leakOutput struct{ Body []LeakResult }

// Leak is one entry of a report.
type Leak struct {
	_      struct{} `additionalProperties:"true"`
	Token  string   `json:"token" maxLength:"1024" doc:"what was found"`
	Type   string   `json:"type,omitempty" maxLength:"100" doc:"what it was taken for"`
	URL    string   `json:"url,omitempty" maxLength:"4096" doc:"where it was found"`
	Source string   `json:"source,omitempty" maxLength:"100" doc:"in what: content, commit, …"`
}

func (s *server) leaked() {
	add(s, operation{
		id: "report-leaks", method: "POST", path: base + "/secret-scanning/github", tag: "access", summary: "Report leaked tokens",
		about:  "For GitHub's secret scanning: ends the tokens that it found, at once, and says which were ours. The body is GitHub's, at most 200 entries, and signed with one of its published keys.",
		errors: []int{403, 404, 408, 413, 415, 422},
	}, s.reportLeaks)
}

func (s *server) reportLeaks(ctx context.Context, in *leakInput) (*leakOutput, error) {
	if s.LeakKeys == nil {
		return nil, clyde.Errorf(clyde.ErrNotFound, "this registry takes no reports of secret scanners").WithCode("secret_scanning_off")
	}
	if err := s.LeakKeys.Verify(ctx, in.ID, in.Signature, in.RawBody); err != nil {
		return nil, err
	}
	out := &leakOutput{Body: []LeakResult{}}
	for _, l := range in.Body {
		_, found, err := s.Accounts.RevokeLeaked(ctx, l.Token, clip(l.Source+" "+l.URL))
		if err != nil {
			return nil, err
		}
		label := map[bool]string{true: "true_positive", false: "false_positive"}[found]
		out.Body = append(out.Body, LeakResult{Token: l.Token, Type: l.Type, Label: label})
	}
	return out, nil
}
