package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/clydepm/clyde-registry/pkg/account"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// exchangePath is where CI runs turn their identity token into one of ours.
const exchangePath = base + "/trusted-publishing/exchange"

// DefaultExchange is how often an address may exchange identity tokens where
// nothing else is set. Ours: a release of some dozen packages at once from
// runners that share an address.
var DefaultExchange = Rate{PerSecond: 1, Burst: 60}

// TrustedIssuer is an OIDC issuer whose tokens the registry accepts.
type TrustedIssuer struct {
	Name     string `json:"name" doc:"as a trusted publisher names it"`
	URL      string `json:"url" doc:"its iss"`
	Kind     string `json:"kind" enum:"github,gitlab,forgejo,generic" doc:"what its claims mean"`
	Audience string `json:"audience" doc:"what its tokens must be made for"`
}

// TrustedAudience says what identity tokens must be made for.
type TrustedAudience struct {
	Audience string          `json:"audience" doc:"what identity tokens must be made for where their issuer says nothing else"`
	Issuers  []TrustedIssuer `json:"issuers" doc:"whose identity tokens are accepted"`
}

// ExchangeRequest is an identity token.
type ExchangeRequest struct {
	Token   string `json:"token" minLength:"1" maxLength:"16384" doc:"the identity token, in compact form; it is good for one exchange"`
	Package string `json:"package,omitempty" maxLength:"128" doc:"@namespace/name; may be absent where the run may publish one package only"`
}

// ExchangedToken is a token of this registry for one package.
type ExchangedToken struct {
	Token   string    `json:"token" doc:"shown this once"`
	Expires time.Time `json:"expires_at"`
	Seconds int       `json:"expires_in" doc:"seconds until then"`
	Package string    `json:"package" doc:"the only one that it may publish"`
	New     bool      `json:"new" doc:"the package does not exist yet; publishing makes it"`
}

// TrustedPublisherRequest says which CI runs may publish the package.
type TrustedPublisherRequest struct {
	Issuer       string            `json:"issuer,omitempty" maxLength:"256" doc:"name or iss of one of the issuers; absent: github" example:"github"`
	Repository   string            `json:"repository,omitempty" maxLength:"256" doc:"owner/name at the provider" example:"acme/zlib"`
	OwnerID      string            `json:"owner_id,omitempty" maxLength:"32" doc:"number of the owner, at GitLab of the namespace; looked up where the registry can" example:"9919"`
	RepositoryID string            `json:"repository_id,omitempty" maxLength:"32" doc:"number of the repository, at GitLab of the project; looked up where the registry can" example:"583231"`
	Workflow     string            `json:"workflow,omitempty" maxLength:"256" doc:"file name of the workflow; at GitLab the path of the configuration" example:"release.yml"`
	JobWorkflow  string            `json:"job_workflow,omitempty" maxLength:"256" doc:"pattern of the reusable workflow that the job is in, when it is in one" example:"acme/ci/.github/workflows/publish.yml@refs/heads/main"`
	Ref          string            `json:"ref,omitempty" maxLength:"256" doc:"pattern of what was built; absent: anything" example:"refs/tags/v*"`
	Environment  string            `json:"environment,omitempty" maxLength:"256" doc:"environment of the job; absent: any and none" example:"release"`
	Claims       map[string]string `json:"claims,omitempty" doc:"of generic issuers: claim to pattern, where * is any text without a slash and ** any text"`
}

// TrustedPublisher is a CI workflow that may publish a package without a
// stored secret.
type TrustedPublisher struct {
	ID           string            `json:"id" doc:"of the trusted publisher" example:"tp_k3v5q2abk3v5q2ab"`
	Package      string            `json:"package" doc:"@namespace/name"`
	Issuer       string            `json:"issuer" doc:"iss of its tokens"`
	Kind         string            `json:"kind" enum:"github,gitlab,forgejo,generic" doc:"what its claims mean"`
	Repository   string            `json:"repository,omitempty" doc:"as it was called when the publisher was added: its numbers count"`
	OwnerID      string            `json:"owner_id,omitempty" doc:"number of the owner"`
	RepositoryID string            `json:"repository_id,omitempty" doc:"number of the repository"`
	Workflow     string            `json:"workflow,omitempty" doc:"file of the workflow"`
	JobWorkflow  string            `json:"job_workflow,omitempty" doc:"pattern of a reusable workflow"`
	Ref          string            `json:"ref,omitempty" doc:"pattern of what was built; absent: anything"`
	Environment  string            `json:"environment,omitempty" doc:"of the job; absent: any and none"`
	Claims       map[string]string `json:"claims,omitempty" doc:"claim to pattern"`
	By           string            `json:"added_by" doc:"who added it"`
	Created      time.Time         `json:"created_at"`
	Pending      bool              `json:"pending" doc:"its package does not exist yet"`
	Expires      *time.Time        `json:"expires_at,omitempty" doc:"of a pending one"`
	Used         *time.Time        `json:"last_used_at,omitempty" doc:"when it published last"`
}

// TrustedPublisherList are a package's trusted publishers, oldest first.
type TrustedPublisherList struct {
	Items []TrustedPublisher `json:"items"`
}

type addPublisherInput struct {
	PackagePath
	Body TrustedPublisherRequest
}

type removePublisherInput struct {
	PackagePath
	ID string `path:"id" maxLength:"64" doc:"ID of the trusted publisher."`
}

type (
	audienceOutput   struct{ Body TrustedAudience }
	exchangeInput    struct{ Body ExchangeRequest }
	exchangeOutput   struct{ Body ExchangedToken }
	publisherOutput  struct{ Body TrustedPublisher }
	publishersOutput struct{ Body TrustedPublisherList }
)

func publisherView(p account.Publisher) TrustedPublisher {
	s := p.Spec
	return TrustedPublisher{
		ID: p.ID, Package: p.Package.String(), Issuer: s.Issuer, Kind: p.Kind, Repository: s.Repository, OwnerID: s.OwnerID,
		RepositoryID: s.RepositoryID, Workflow: s.Workflow, JobWorkflow: s.JobWorkflow, Ref: s.Ref, Environment: s.Environment,
		Claims: s.Claims, By: p.By, Created: p.Created, Pending: !p.Expires.IsZero(), Expires: moment(p.Expires), Used: moment(p.Used),
	}
}

var examplePublisher = TrustedPublisher{
	ID: "tp_k3v5q2abk3v5q2ab", Package: "@acme/zlib", Issuer: account.GitHubIssuer, Kind: account.KindGitHub, Repository: "acme/zlib", OwnerID: "9919",
	RepositoryID: "583231", Workflow: "release.yml", Ref: "refs/tags/v*", Environment: "release", By: "alice", Created: exampleTime, Used: &exampleTime,
}

// trust returns what does trusted publishing here.
func (s *server) trust() (*account.Trusted, error) {
	if s.Trusted == nil {
		return nil, clyde.Errorf(clyde.ErrNotFound, "this registry does no trusted publishing").WithCode("trusted_publishing_off")
	}
	return s.Trusted, nil
}

func (s *server) trustedPublishing() {
	const at = base + "/packages/{namespace}/{name}/trusted-publishers"
	add(s, operation{
		id: "get-trusted-audience", method: "GET", path: base + "/trusted-publishing/audience", tag: "access", summary: "What identity tokens are for",
		about: "The audience that a CI run asks an identity token for, and the issuers whose tokens are accepted.", errors: []int{404},
	}, func(context.Context, *struct{}) (*audienceOutput, error) {
		t, err := s.trust()
		if err != nil {
			return nil, err
		}
		out := TrustedAudience{Audience: t.Audience(), Issuers: []TrustedIssuer{}}
		for _, i := range t.Issuers() {
			out.Issuers = append(out.Issuers, TrustedIssuer{i.Name, i.URL, i.Kind, i.Audience})
		}
		return &audienceOutput{out}, nil
	})
	add(s, operation{
		id: "exchange-token", method: "POST", path: exchangePath, tag: "access", summary: "Exchange a CI run's identity token",
		about: "Turns the identity token of a CI run into a token of this registry for 15 minutes and one package. The run must be a trusted publisher of it; where it is not, the answer says which claim differs.", errors: []int{403, 404, 408, 409, 413, 415, 422},
	}, s.exchange)
	add(s, operation{
		id: "list-trusted-publishers", method: "GET", path: at, tag: "access", summary: "List trusted publishers", token: true,
		about: "The CI workflows that may publish the package. For those who manage it.", errors: []int{404},
	}, func(ctx context.Context, in *PackagePath) (*publishersOutput, error) {
		t, name, err := s.trustIn(*in)
		if err != nil {
			return nil, err
		}
		ps, err := t.Publishers(ctx, callOf(ctx).who, name)
		if err != nil {
			return nil, err
		}
		out := TrustedPublisherList{Items: []TrustedPublisher{}}
		for _, p := range ps {
			out.Items = append(out.Items, publisherView(p))
		}
		return &publishersOutput{out}, nil
	})
	add(s, operation{
		id: "add-trusted-publisher", method: "POST", path: at, tag: "access", summary: "Trust a CI workflow to publish", token: true, status: http.StatusCreated,
		about: "Lets a CI workflow publish the package without a stored secret. For those who manage it; where it does not exist yet, for those who may publish it first: such a publisher is pending, reserves nothing and expires after 30 days.", errors: []int{404, 408, 409, 413, 415, 422},
	}, func(ctx context.Context, in *addPublisherInput) (*publisherOutput, error) {
		t, name, err := s.trustIn(in.PackagePath)
		if err != nil {
			return nil, err
		}
		b := in.Body
		p, err := t.Add(ctx, callOf(ctx).who, name, account.PublisherSpec{
			Issuer: b.Issuer, Repository: b.Repository, OwnerID: b.OwnerID, RepositoryID: b.RepositoryID, Workflow: b.Workflow,
			JobWorkflow: b.JobWorkflow, Ref: b.Ref, Environment: b.Environment, Claims: b.Claims,
		})
		if err != nil {
			return nil, err
		}
		return &publisherOutput{publisherView(p)}, nil
	})
	add(s, operation{
		id: "remove-trusted-publisher", method: "DELETE", path: at + "/{id}", tag: "access", summary: "End the trust in a CI workflow", token: true, status: http.StatusNoContent,
		about: "The workflow gets no further token. For those who manage the package.", errors: []int{404},
	}, func(ctx context.Context, in *removePublisherInput) (*struct{}, error) {
		t, name, err := s.trustIn(in.PackagePath)
		if err != nil {
			return nil, err
		}
		return nil, t.Remove(ctx, callOf(ctx).who, name, in.ID)
	})
}

func (s *server) trustIn(in PackagePath) (*account.Trusted, clyde.Name, error) {
	t, err := s.trust()
	if err != nil {
		return nil, clyde.Name{}, err
	}
	name, err := in.name()
	return t, name, err
}

func (s *server) exchange(ctx context.Context, in *exchangeInput) (*exchangeOutput, error) {
	t, err := s.trust()
	if err != nil {
		return nil, err
	}
	var name clyde.Name
	if in.Body.Package != "" {
		if name, err = clyde.ParseName(in.Body.Package); err != nil {
			return nil, err
		}
	}
	c := callOf(ctx)
	c.cache = cachePrivate
	from, _ := netip.ParseAddrPort(c.r.RemoteAddr) // the zero address where it is none
	tok, err := t.Exchange(ctx, in.Body.Token, name, from.Addr())
	if err != nil {
		return nil, err
	}
	return &exchangeOutput{ExchangedToken{
		Token: tok.Secret, Expires: tok.Expires, Seconds: int(account.RunTokenLife.Seconds()), Package: tok.Package.String(), New: tok.New,
	}}, nil
}
