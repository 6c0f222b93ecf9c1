package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// qualify writes the namespace of each requirement that has none into the
// package.yaml in dir; every other byte of it stays. It asks the registry which
// package is meant, and writes nothing unless each name means exactly one. With
// dry it only says what it would write.
func (a *app) qualify(ctx context.Context, dir string, dry bool) error {
	path, data, err := a.readManifest(dir)
	if err != nil {
		return err
	}
	m, ps := clyde.Check(data, clyde.ValidateOptions{})
	if err := ps.Err(path); err != nil {
		return manifestError{path, err}
	}
	names, err := a.meant(ctx, path, m.Unqualified())
	if err != nil || len(names) == 0 {
		return err
	}
	out, err := clyde.Qualify(data, names)
	if err != nil {
		return manifestError{path, err}
	}
	verb := "wrote"
	if dry {
		verb = "would write"
	} else {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := writeWhole(path, out, info.Mode().Perm()); err != nil {
			return err
		}
	}
	for _, short := range m.Unqualified() {
		a.say("%s: %s %s for %s", path, verb, names[short], short)
	}
	if dry {
		return clyde.Errorf(clyde.ErrInvalid, "%s has names without a namespace, and a dry run writes nothing", path).
			WithCode("requirement_unqualified").Fix("clyde publish --qualify, without --dry-run")
	}
	return nil
}

// meant finds the one package that each short name means among those that the
// asker may see.
func (a *app) meant(ctx context.Context, path string, short []string) (map[string]clyde.Name, error) {
	if len(short) == 0 {
		return nil, nil
	}
	c, err := a.api(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]clyde.Name{}
	refused := clyde.Errorf(clyde.ErrInvalid, "").WithCode("requirement_ambiguous")
	var unclear []string
	for _, s := range short {
		found, err := c.Candidates(ctx, s)
		if err != nil && !errors.Is(err, clyde.ErrNotFound) {
			return nil, err
		}
		if len(found) == 1 {
			if names[s], err = clyde.ParseName(found[0].Name); err != nil {
				return nil, err
			}
			continue
		}
		said := s + " is no package here"
		if len(found) > 1 {
			said = s + " is short for " + plural(len(found), "package")
		}
		unclear = append(unclear, said)
		for _, p := range found[:min(len(found), maxCandidates)] {
			refused.Fix("write \"%s\" for %s", p.Name, s)
		}
		if len(found) > maxCandidates || len(found) == 0 {
			refused.Fix("clyde search %s", s)
		}
	}
	if len(unclear) > 0 {
		refused.Msg = path + ": it is not clear what is meant, and nothing was written: " + strings.Join(unclear, ", ")
		return nil, refused
	}
	return names, nil
}
