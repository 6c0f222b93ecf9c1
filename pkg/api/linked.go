package api

import (
	"context"
	"net/http"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/linked"
	"github.com/clydepm/clyde-registry/pkg/store"
)

// LinkedRepositoryRequest says which repository a package is published from.
type LinkedRepositoryRequest struct {
	Repository string `json:"repository" minLength:"3" maxLength:"140" doc:"owner/name at GitHub" example:"acme/zlib"`
	Token      string `json:"token" maxLength:"512" doc:"a token of GitHub's, of somebody who administers the repository; it is asked that once and not kept"`
}

// LinkedTag is a tag of a linked repository on its way to be a version.
type LinkedTag struct {
	Tag      string     `json:"tag" doc:"as the repository has it" example:"v1.3.1"`
	State    string     `json:"state" enum:"waiting,failed,done" doc:"what became of it"`
	Version  string     `json:"version,omitempty" doc:"that was published"`
	Reason   string     `json:"reason,omitempty" doc:"why it failed, or waits"`
	Fix      string     `json:"fix,omitempty" doc:"how to mend it"`
	Attempt  int        `json:"attempt" doc:"how often it was tried"`
	Received time.Time  `json:"received_at" doc:"when GitHub told of it, or somebody asked for it"`
	Next     *time.Time `json:"next_at,omitempty" doc:"of a waiting one: not before"`
}

// LinkedRepository is the repository that a package is published from.
type LinkedRepository struct {
	ID           string      `json:"id" doc:"of the link" example:"rl_k3v5q2abk3v5q2ab"`
	Package      string      `json:"package" doc:"@namespace/name"`
	Repository   string      `json:"repository" doc:"as it was called when it was linked: its number counts"`
	RepositoryID string      `json:"repository_id" doc:"number of the repository"`
	By           string      `json:"linked_by" doc:"on whose behalf is published"`
	Created      time.Time   `json:"created_at"`
	Webhook      string      `json:"webhook" doc:"address that GitHub sends releases to"`
	Secret       string      `json:"secret,omitempty" doc:"of the webhook; shown when it is linked"`
	Tags         []LinkedTag `json:"tags" doc:"newest first"`
}

// PublishTagRequest names a tag.
type PublishTagRequest struct {
	Tag string `json:"tag" minLength:"1" maxLength:"255" doc:"of the linked repository" example:"v1.3.1"`
}

// WebhookAnswer says what is done about an event.
type WebhookAnswer struct {
	Message string `json:"message" doc:"for whoever looks at the deliveries of the webhook"`
}

type linkInput struct {
	PackagePath
	Body LinkedRepositoryRequest
}

type publishTagInput struct {
	PackagePath
	Body PublishTagRequest
}

type webhookInput struct {
	ID        string `path:"id" maxLength:"64" doc:"ID of the link."`
	Kind      string `header:"X-GitHub-Event" doc:"What the event is about: release, ping."`
	Signature string `header:"X-Hub-Signature-256" doc:"sha256= and the HMAC of the body by the webhook's secret, in hexadecimal."`
	RawBody   []byte
	Body      map[string]any // its shape is GitHub's; what is signed is RawBody
}

type (
	linkOutput    struct{ Body LinkedRepository }
	webhookOutput struct{ Body WebhookAnswer }
)

var exampleLink = LinkedRepository{
	ID: "rl_k3v5q2abk3v5q2ab", Package: "@acme/zlib", Repository: "acme/zlib", RepositoryID: "583231", By: "alice", Created: exampleTime,
	Webhook: "http://localhost:8080/api/v1/linked-repositories/rl_k3v5q2abk3v5q2ab/events",
	Tags:    []LinkedTag{{Tag: "v1.3.1", State: "done", Version: "1.3.1", Attempt: 1, Received: exampleTime}},
}

func (s *server) linkView(k linked.Link) LinkedRepository {
	out := LinkedRepository{
		ID: k.ID, Package: k.Package.String(), Repository: k.Repository, RepositoryID: k.RepositoryID, By: k.By, Created: k.Created,
		Webhook: s.PublicURL + base + "/linked-repositories/" + k.ID + "/events", Tags: []LinkedTag{},
	}
	for _, r := range k.Runs {
		out.Tags = append(out.Tags, tagView(r))
	}
	return out
}

func tagView(r store.TagRun) LinkedTag {
	t := LinkedTag{Tag: r.Tag, State: r.State, Version: r.Version, Reason: r.Reason, Fix: r.Fix, Attempt: r.Attempt, Received: r.Received}
	if r.State == "waiting" {
		t.Next = moment(r.Next)
	}
	return t
}

// links returns what publishes from repositories here.
func (s *server) links(in PackagePath) (*linked.Linked, clyde.Name, error) {
	if s.Linked == nil {
		return nil, clyde.Name{}, clyde.Errorf(clyde.ErrNotFound, "this registry publishes from no repositories").WithCode("linking_off")
	}
	name, err := in.name()
	return s.Linked, name, err
}

func (s *server) linkedRepositories() {
	const at = base + "/packages/{namespace}/{name}/repository"
	add(s, operation{
		id: "get-linked-repository", method: "GET", path: at, tag: "access", summary: "Get the repository that a package is published from", token: true,
		about: "The linked repository, with what became of its latest releases. For those who manage the package.", errors: []int{404},
	}, func(ctx context.Context, in *PackagePath) (*linkOutput, error) {
		l, name, err := s.links(*in)
		if err != nil {
			return nil, err
		}
		k, err := l.Get(ctx, callOf(ctx).who, name)
		if err != nil {
			return nil, err
		}
		return &linkOutput{s.linkView(k)}, nil
	})
	add(s, operation{
		id: "link-repository", method: "PUT", path: at, tag: "access", summary: "Publish a package from a repository", token: true,
		about: "Links the package to a repository of GitHub, in place of an earlier one: its releases are published once its webhook sends them here. Whoever administers the repository proves so with a token that is used once. For those who manage the package; where it does not exist yet, for those who may publish it first.", errors: []int{404, 408, 413, 415, 422},
	}, func(ctx context.Context, in *linkInput) (*linkOutput, error) {
		l, name, err := s.links(in.PackagePath)
		if err != nil {
			return nil, err
		}
		c := callOf(ctx)
		c.cache = cachePrivate
		k, err := l.Set(ctx, c.who, name, in.Body.Repository, in.Body.Token)
		if err != nil {
			return nil, err
		}
		out := s.linkView(k)
		out.Secret = l.Secret(k.ID)
		return &linkOutput{out}, nil
	})
	add(s, operation{
		id: "unlink-repository", method: "DELETE", path: at, tag: "access", summary: "Publish from the repository no longer", token: true, status: http.StatusNoContent,
		about: "Ends the link; what was published stays. For those who manage the package.", errors: []int{404},
	}, func(ctx context.Context, in *PackagePath) (*struct{}, error) {
		l, name, err := s.links(*in)
		if err != nil {
			return nil, err
		}
		return nil, l.Remove(ctx, callOf(ctx).who, name)
	})
	add(s, operation{
		id: "publish-tag", method: "POST", path: at + "/tags", tag: "access", summary: "Publish a tag of the linked repository", token: true, status: http.StatusAccepted,
		about: "Has a tag fetched and published that failed, or that GitHub never told of. For those who manage the package.", errors: []int{404, 408, 413, 415, 422},
	}, func(ctx context.Context, in *publishTagInput) (*linkOutput, error) {
		l, name, err := s.links(in.PackagePath)
		if err != nil {
			return nil, err
		}
		who := callOf(ctx).who
		if err := l.Retry(ctx, who, name, in.Body.Tag); err != nil {
			return nil, err
		}
		k, err := l.Get(ctx, who, name)
		if err != nil {
			return nil, err
		}
		return &linkOutput{s.linkView(k)}, nil
	})
	add(s, operation{
		id: "receive-release", method: "POST", path: base + "/linked-repositories/{id}/events", tag: "access", summary: "Take an event of a linked repository", status: http.StatusAccepted,
		about:  "Where the webhook of a linked repository sends its events, as GitHub does: signed with the webhook's secret. A release that was published is stored before the answer, and then fetched and published.",
		errors: []int{403, 404, 408, 413, 415, 422}, body: linked.MaxEvent,
	}, func(ctx context.Context, in *webhookInput) (*webhookOutput, error) {
		if s.Linked == nil {
			return nil, clyde.Errorf(clyde.ErrNotFound, "this registry publishes from no repositories").WithCode("linking_off")
		}
		said, err := s.Linked.Receive(ctx, in.ID, linked.Event{Kind: in.Kind, Signature: in.Signature, Body: in.RawBody})
		if err != nil {
			return nil, err
		}
		return &webhookOutput{WebhookAnswer{said}}, nil
	})
}
