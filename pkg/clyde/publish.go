package clyde

import (
	"slices"
	"strings"
)

// ValidateOptions says what a package.yaml is validated for.
type ValidateOptions struct {
	Publish bool   // by the rules of publishing, not those of a work tree
	Repo    Name   // where it is published; zero where that is not known yet
	Tag     string // the version's tag; "" where it has none yet
}

// Validate reads a package.yaml and applies every rule to it: it is what the
// client, the door of the registry and the API call. The error is of kind
// ErrInvalid and carries all problems, warnings included. The manifest is what
// could be read, never nil.
func Validate(data []byte, o ValidateOptions) (*Manifest, error) {
	m, problems := Check(data, o)
	return m, problems.Err("package.yaml")
}

// Check is Validate for those who show warnings too.
func Check(data []byte, o ValidateOptions) (*Manifest, Problems) {
	m, problems := ParseManifest(data)
	if !o.Publish || len(m.written.at) == 0 {
		return m, problems
	}
	// What publishing refuses replaces the warning about the same.
	var all Problems
	refused := m.CheckPublish(o.Repo, o.Tag)
	for _, p := range problems {
		if !slices.ContainsFunc(refused, func(r Problem) bool { return r.Pointer == p.Pointer && r.Code == p.Code }) {
			all = append(all, p)
		}
	}
	return m, tidy(append(all, refused...))
}

// CheckPublish returns what keeps m, as ParseManifest returned it, from being
// published in repo under tag, and what publishing it would lack. A zero repo
// and an empty tag are not compared.
func (m *Manifest) CheckPublish(repo Name, tag string) Problems {
	c := &publishCheck{m: m, problems: slices.Clone(m.written.unpublishable)}
	c.identity(repo, tag)
	if !m.Registry.Publish {
		c.add("/registry/publish", "publish_disabled", "registry.publish is false: this package is not meant to be published")
	}
	if m.Description == "" && !c.has("/description") {
		c.warn("description_missing", "the package has no description, by which people find it")
	}
	if m.License == "" && m.LicenseFile == "" && !c.has("/license") && !c.has("/license_file") {
		c.warn("license_missing", "the package has no license, without which nobody may use it: write an SPDX expression such as MIT, or name a file in license_file")
	}
	namespace := repo.Namespace
	if namespace == "" {
		namespace = m.Name.Namespace
	}
	c.requirements("/requires", m.Requires, namespace, repo)
	c.requirements("/dev_requires", m.DevRequires, namespace, repo)
	c.requirements("/build_requires", m.BuildRequires, namespace, repo)
	c.requirements("/conflicts", m.Conflicts, namespace, repo)
	return tidy(c.problems)
}

// publishCheck collects problems at pointers of a parsed manifest.
type publishCheck struct {
	m        *Manifest
	problems Problems
}

func (c *publishCheck) has(pointer string) bool {
	_, ok := c.m.written.at[pointer]
	return ok
}

func (c *publishCheck) add(pointer, code, format string, args ...any) *Problem {
	at := c.m.written.at[pointer]
	e := Errorf(ErrInvalid, format, args...)
	c.problems = append(c.problems, Problem{Code: code, Pointer: pointer, Line: at.line, Column: at.column, Msg: e.Msg})
	return &c.problems[len(c.problems)-1]
}

func (c *publishCheck) warn(code, msg string) { c.add("", code, "%s", msg).Warning = true }

func (c *publishCheck) identity(repo Name, tag string) {
	m := c.m
	if repo.IsZero() {
		if m.Name.Namespace == "" && !m.Name.IsZero() {
			c.add("/name", "name_unqualified", "name %s has no namespace, and no repository says which: write @namespace/%s", quoted(m.Name.Base), m.Name.Base)
		}
	} else if !m.Name.IsZero() {
		if m.Name.Namespace != "" && m.Name.Namespace != repo.Namespace {
			c.add("/name", "name_mismatch", "package.yaml says %s, and this is the namespace %s: write %s, or publish to %s", m.Name, repo.Namespace, repo, m.Name.Repo())
		} else if m.Name.Base != repo.Base {
			c.add("/name", "name_mismatch", "package.yaml says %s, and this is the repository %s: write %s, or publish to %s/%s", m.Name, repo.Repo(), repo, repo.Namespace, m.Name.Base)
		}
	}
	if tag != "" && !m.Version.IsZero() && tag != m.Version.String() {
		c.add("/version", "version_mismatch", "package.yaml says version %s, and the tag is %s: the tag is the version exactly as written", m.Version, quoted(tag))
	}
}

// requirements checks one list at pointer. The requirements of a published
// package mean the same wherever it is copied, so each names its namespace.
func (c *publishCheck) requirements(pointer string, list []Requirement, namespace string, repo Name) {
	seen := map[string]string{}
	for _, r := range list {
		at := pointer + "/" + pointerEscapes.Replace(r.Name)
		if !strings.HasPrefix(r.Name, "@") {
			if CheckBase(r.Name) != nil {
				continue // said already
			}
			if namespace == "" {
				c.add(at, "requirement_unqualified", "requirement %s has no namespace: write \"@namespace/%s\"", quoted(r.Name), r.Name)
				continue
			}
			qualified := Name{namespace, r.Name}.String()
			c.add(at, "requirement_unqualified", "requirement %s has no namespace: write \"%s\", or the namespace of the package that is meant", quoted(r.Name), qualified).Near = qualified
			continue
		}
		name, err := ParseName(r.Name)
		if err != nil {
			continue // said already
		}
		id := name.Identity()
		if other := seen[id]; other != "" {
			c.add(at, "requirement_twice", "%s and %s are one package", other, r.Name)
		}
		seen[id] = r.Name
		if !repo.IsZero() && id == repo.Identity() && pointer != "/conflicts" {
			c.add(at, "requirement_self", "the package requires itself")
		}
		if !r.Range.IsZero() && r.Range.IsAny() && pointer == "/requires" {
			c.add(at, "requirement_any", "any version of %s is allowed, and the next major one may break this package: write a range such as ^1.2", r.Name).Warning = true
		}
	}
}
