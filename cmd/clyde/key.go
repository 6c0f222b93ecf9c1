package main

import (
	"context"
	"os"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// publicKeys loads the public keys that refs name.
func publicKeys(ctx context.Context, refs []string) ([]signing.Key, error) {
	var keys []signing.Key
	for _, ref := range refs {
		k, err := signing.ReadPublicKey(ctx, ref, os.LookupEnv)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// namespaceKeys returns the keys that the registry lists for a namespace and
// nobody revoked. It vouches for them, so that they say who may sign there and
// not that the registry is honest.
func (a *app) namespaceKeys(ctx context.Context, namespace string) ([]signing.Key, error) {
	c, err := a.api(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := c.Keys(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var keys []signing.Key
	for _, k := range listed {
		if k.Revoked != nil || len(keys) == signing.MaxKeys {
			continue
		}
		key, err := signing.ParsePublicKey([]byte(k.PEM))
		if err != nil {
			a.say("%s the registry's key %q of @%s cannot be read: %s", a.paint(a.stderr, yellow, "warning:"), clean(k.Name), namespace, clean(err.Error()))
			continue
		}
		key.Name = k.Name
		keys = append(keys, key)
	}
	return keys, nil
}

// unverified is the failure that a report amounts to, or nil where it is
// verified. What names the package.
func unverified(what string, r *signing.Report) error {
	if r.State == signing.StateVerified {
		return nil
	}
	var e *clyde.Error
	switch r.State {
	case signing.StateUnsigned:
		e = clyde.Errorf(clyde.ErrUnverified, "%s is not signed", what).WithCode("unsigned")
	case signing.StateInvalid:
		e = clyde.Errorf(clyde.ErrUnverified, "%s has an invalid signature%s", what, reasons(r)).WithCode("signature_invalid").
			Fix("do not use it before its publisher has said what happened")
	default:
		e = clyde.Errorf(clyde.ErrUnverified, "%s is signed, and by none of the keys asked for%s", what, reasons(r)).WithCode("signature_untrusted")
	}
	return e
}

// reasons is ": " and why signatures do not count, each reason once.
func reasons(r *signing.Report) string {
	var out []string
	seen := map[string]bool{}
	for _, s := range r.Signatures {
		if s.Reason != "" && !seen[s.Reason] {
			seen[s.Reason] = true
			out = append(out, s.Reason)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}

// signers names who signed, for people.
func signers(r *signing.Report) string {
	var out []string
	seen := map[string]bool{}
	for _, s := range r.Signatures {
		who := strings.TrimSpace(s.KeyName + " " + s.KeyFingerprint)
		if s.Certificate != nil {
			who = s.Certificate.String()
		}
		if s.State == signing.StateVerified && !seen[who] {
			seen[who] = true
			out = append(out, who)
		}
	}
	return strings.Join(out, ", ")
}

// located is a package found in a registry: what is signed, verified and
// fetched.
type located struct {
	at      address // of the registry
	repo    string
	name    clyde.Name // zero where the repository names none
	version string     // as written; the tag, for an OCI reference
	subject signing.Subject
	yanked  string // why, where it is
	api     bool   // found by our API
}

// String is "@acme/zlib 1.3.1", or the reference.
func (l located) String() string {
	if l.name.IsZero() || l.version == "" {
		return l.at.host + "/" + l.repo + "@" + l.subject.Digest.String()
	}
	return l.name.String() + " " + l.version
}

// locate finds what a target names: by the API of our registry, else by the
// tags of any OCI registry.
func (a *app) locate(ctx context.Context, t target) (located, *artifact.Client, error) {
	if t.ref.at.host != "" {
		return a.locateReference(ctx, t.ref, clyde.Range{})
	}
	if err := a.qualified(ctx, t); err != nil {
		return located{}, nil, err
	}
	s, err := a.site(ctx)
	if err != nil {
		return located{}, nil, err
	}
	if !s.hasAPI {
		r := reference{at: s.at}
		r.at.prefix = s.at.repo(t.name)
		if v, err := clyde.ParseVersion(t.want); err == nil {
			r.tag = v.String()
		}
		return a.locateReference(ctx, r, t.rng)
	}
	c, err := a.api(ctx)
	if err != nil {
		return located{}, nil, err
	}
	rel, err := a.release(ctx, c, t)
	if err != nil {
		return located{}, nil, err
	}
	at, err := s.of(t.name.Namespace)
	if err != nil {
		return located{}, nil, err
	}
	oc, err := a.oci(at)
	if err != nil {
		return located{}, nil, err
	}
	l := located{at: at, repo: at.repo(t.name), name: t.name, version: rel.Version, api: true}
	if rel.Yanked != nil {
		l.yanked = yankedText(rel.Yanked)
	}
	if err := l.describe(ctx, oc, rel.Digest); err != nil {
		return l, nil, err
	}
	return l, oc, nil
}

// locateReference finds a reference by tag or digest; without either, the
// newest version in rng among the tags.
func (a *app) locateReference(ctx context.Context, r reference, rng clyde.Range) (located, *artifact.Client, error) {
	oc, err := a.oci(r.at)
	if err != nil {
		return located{}, nil, err
	}
	l := located{at: r.at, repo: r.repo(), name: r.name(), version: r.tag}
	if r.version() == "" {
		tags, err := oc.Tags(ctx, l.repo, "", 0)
		if err != nil {
			return l, nil, err
		}
		var versions []clyde.Version
		for _, tag := range tags {
			if v, err := clyde.ParseVersion(tag); err == nil {
				versions = append(versions, v)
			}
		}
		best, ok := rng.Newest(versions)
		if !ok {
			return l, nil, clyde.Errorf(errNoVersion, "no tag of %s is a version in %q", r, rng).WithCode("no_version").
				Fix("name a tag: %s:TAG", r)
		}
		l.version = best.String()
		r.tag = l.version
	}
	if err := l.describe(ctx, oc, r.version()); err != nil {
		return l, nil, err
	}
	return l, oc, nil
}

// describe asks the registry for the manifest that ref names.
func (l *located) describe(ctx context.Context, oc *artifact.Client, ref string) error {
	d, err := oc.Resolve(ctx, l.repo, ref)
	if err != nil {
		return err
	}
	l.subject = signing.Subject{Repo: l.repo, Name: l.name, Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}
	if v, err := clyde.ParseVersion(l.version); err == nil && !l.name.IsZero() {
		l.subject.Version = v.Canonical()
	}
	return nil
}
