package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/filelock"
	"github.com/clydepm/clyde-registry/pkg/policy"
	"github.com/clydepm/clyde-registry/pkg/signing"
)

// keptList is a list with its signature, as the client keeps it: for when the
// registry cannot be asked, and to know an older one when it is shown.
type keptList struct {
	Document  string          `json:"document"`
	Signature json.RawMessage `json:"signature"`
}

// maxKeptList is the largest file of one, in bytes: JSON may need six for one.
const maxKeptList = 6*policy.MaxListSize + signing.MaxBlob

// lists returns the lists that a policy follows, each signed by those whom the
// policy names, not ended, and not older than one that was here before.
func (a *app) lists(ctx context.Context, f policyFlags, p *policy.Policy) ([]*policy.List, error) {
	var out []*policy.List
	for _, from := range p.Lists {
		l, err := a.list(ctx, f, p, from)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (a *app) list(ctx context.Context, f policyFlags, p *policy.Policy, from policy.ListSource) (*policy.List, error) {
	if f.offline {
		kept, err := readKept(archivedList(f.bundleDir, from.Namespace))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, clyde.Errorf(clyde.ErrUnavailable, "the list of @%s was not fetched", from.Namespace).WithCode("not_archived").
				Fix("run clyde trust fetch with the same policy, where there is a network").Because(err)
		}
		if err != nil {
			return nil, err
		}
		return p.CheckList(ctx, from, []byte(kept.Document), kept.Signature, time.Now())
	}
	path, err := a.keptListPath(from.Namespace)
	if err != nil {
		return nil, err
	}
	c, err := a.api(ctx)
	if err != nil {
		return nil, err
	}
	got, err := c.PackageList(ctx, from.Namespace)
	switch {
	case errors.Is(err, clyde.ErrNotFound):
		// Whoever keeps the list could leave it out as well.
		return nil, clyde.Errorf(clyde.ErrUnavailable, "the policy follows the list of @%s, and the registry has none", from.Namespace).WithCode("list_missing").
			Fix("its owners publish it: clyde policy set-list @%s FILE", from.Namespace).Fix("or take it out of the policy's lists")
	case err != nil && (errors.Is(err, clyde.ErrUnavailable) || errors.Is(err, clyde.ErrRateLimited)):
		kept, kerr := readKept(path)
		if kerr != nil {
			return nil, err
		}
		a.say("%s the list of @%s could not be fetched, and the last one is used: %s", a.paint(a.stderr, yellow, "warning:"), from.Namespace, clean(err.Error()))
		return p.CheckList(ctx, from, []byte(kept.Document), kept.Signature, time.Now())
	case err != nil:
		return nil, err
	}
	l, err := p.CheckList(ctx, from, []byte(got.Document), got.Signature, time.Now())
	if err != nil {
		return nil, err
	}
	return l, keepList(ctx, path, l, keptList{got.Document, got.Signature})
}

// keptListPath is where the last list of a namespace at the registry in use is.
func (a *app) keptListPath(namespace string) (string, error) {
	at, err := a.address()
	if err != nil {
		return "", err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", clyde.Errorf(clyde.ErrInvalid, "there is no folder to keep lists in").Because(err).Fix("set HOME, or XDG_CACHE_HOME")
	}
	// A port is no part of a file's name on Windows.
	return filepath.Join(dir, "clyde", "lists", fileName(at.host), namespace+".json"), nil
}

// fileName is host as the name of a folder anywhere.
func fileName(host string) string {
	b := []byte(host)
	for i, c := range b {
		if c == ':' || c == '[' || c == ']' || c == '%' {
			b[i] = '_'
		}
	}
	return string(b)
}

// keepList notes a list that was checked, unless a newer one was here before:
// that is a clyde.ErrUnverified error.
func keepList(ctx context.Context, path string, l *policy.List, kept keptList) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("remember the list: %w", err)
	}
	turn, err := filelock.Lock(ctx, path+".lock", false, nil)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, turn.Close()) }()
	}
	was, err := readKept(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		before, err := policy.ParseList([]byte(was.Document))
		switch {
		case err != nil:
			return unreadableKept(path, err)
		case l.Version < before.Version:
			return policy.RolledBack(l, before.Version)
		case l.Follows(before.Version, []byte(kept.Document), []byte(was.Document)) != nil:
			return clyde.Errorf(clyde.ErrUnverified, "the list of @%s, version %d, says something else than it did", l.Namespace, l.Version).
				WithCode("list_rolled_back").Fix("ask its owners: a change has a version of its own")
		case l.Version == before.Version:
			return nil
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return writeWhole(path, data, 0o600)
}

func unreadableKept(path string, because error) error {
	return clyde.Errorf(clyde.ErrInvalid, "%s, which remembers the last list, cannot be read", path).WithCode("list_cache").
		Because(because).Fix("remove it, if you know why")
}

func readKept(path string) (kept keptList, err error) {
	f, err := os.Open(path)
	if err != nil {
		return kept, err
	}
	defer f.Close()
	data, err := readAll(f, maxKeptList, path)
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return kept, unreadableKept(path, err)
	}
	return kept, nil
}

// archivedList is where a list is in what clyde trust fetch brought.
func archivedList(dir, namespace string) string {
	return filepath.Join(dir, "lists", namespace+".json")
}

// fetchLists writes the lists that the policy follows into dir.
func (v *verification) fetchLists(ctx context.Context, dir string) error {
	a := v.app
	p, _, err := a.policyOf(ctx, v.who)
	if err != nil || p == nil || len(p.Lists) == 0 {
		return err
	}
	if _, err := a.lists(ctx, v.who, p); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "lists"), 0o755); err != nil {
		return err
	}
	for _, from := range p.Lists {
		path, err := a.keptListPath(from.Namespace)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path) // it was checked, and kept
		if err != nil {
			return err
		}
		if err := os.WriteFile(archivedList(dir, from.Namespace), data, 0o644); err != nil {
			return fmt.Errorf("write the list of @%s: %w", from.Namespace, err)
		}
	}
	return nil
}

// listOfNamespace are the commands about which packages an organisation lets be
// used.
func (a *app) listOfNamespace() []*cobra.Command {
	get := &cobra.Command{
		Use: "get-list @NAMESPACE", Short: "Print which packages an organisation allows and denies", Args: wants(1, 1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.namespacePolicy(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, ns string) error {
				l, err := c.PackageList(ctx, ns)
				switch {
				case err != nil:
					return err
				case a.json:
					return a.emit("policy", l)
				}
				return a.printf("%s", l.Document)
			})
		},
	}
	var who signFlags
	set := &cobra.Command{
		Use:   "set-list @NAMESPACE FILE",
		Short: "Sign and publish which packages an organisation allows and denies",
		Long: "Sign the list in FILE, as clyde sign signs, and publish it for a namespace. Whoever's policy follows the list\n" +
			"then has it held against every package that clyde verify, install and pull see. It must be signed by one of\n" +
			"those whom the namespace's policy names under lists, and its version must be higher than any before. For owners.",
		Example: "  clyde policy set-list @acme list.yaml --key security.key", Args: wants(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.setList(cmd.Context(), args[0], args[1], who)
		},
	}
	who.register(set)
	unset := &cobra.Command{
		Use: "unset-list @NAMESPACE", Short: "Take an organisation's list away", Args: wants(1, 1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.namespacePolicy(cmd.Context(), args[0], func(ctx context.Context, c *client.Client, ns string) error {
				if err := c.DropPackageList(ctx, ns); err != nil {
					return err
				}
				if a.json {
					return a.emit("policy", struct {
						Namespace string `json:"namespace"`
					}{ns})
				}
				a.say("@%s publishes no list any longer; who follows it is refused everything until they do not", ns)
				return nil
			})
		},
	}
	return []*cobra.Command{get, set, unset}
}

func (a *app) setList(ctx context.Context, arg, path string, who signFlags) error {
	f, err := os.Open(path)
	if err != nil {
		return missing(path, err)
	}
	data, err := readAll(f, policy.MaxListSize, path)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	l, err := policy.ParseList(data)
	if err != nil {
		return err
	}
	return a.namespacePolicy(ctx, arg, func(ctx context.Context, c *client.Client, ns string) error {
		if l.Namespace != ns {
			return clyde.Errorf(clyde.ErrInvalid, "%s is the list of @%s, and not of @%s", path, l.Namespace, ns).WithCode("bad_list")
		}
		signer, err := a.signer(ctx, who, false)
		if err != nil {
			return err
		}
		bundle, err := signing.SignDocument(ctx, signer, policy.ListPredicateType, "list:"+ns, data)
		if err != nil {
			return err
		}
		set, err := c.SetPackageList(ctx, ns, data, bundle)
		switch {
		case err != nil:
			return err
		case a.json:
			return a.emit("policy", set)
		}
		a.say("published version %d of the list of @%s, signed by %s", set.Version, ns, clean(signedBy(signer)))
		return a.printf("%s\n", set.Digest)
	})
}
