package clyde

import "encoding/json"

// ManifestView is a Manifest as the API shows it: normalised, with defaults
// filled in. A field once published stays.
type ManifestView struct {
	Schema          int                      `json:"schema,omitempty"`
	Name            string                   `json:"name"`
	Version         string                   `json:"version"`
	UpstreamVersion string                   `json:"upstream_version,omitempty"`
	Type            string                   `json:"type"`
	Language        string                   `json:"language,omitempty"`
	Standard        *StandardView            `json:"standard,omitempty"`
	Description     string                   `json:"description,omitempty"`
	License         string                   `json:"license,omitempty"`
	LicenseFile     string                   `json:"license_file,omitempty"`
	Authors         []Author                 `json:"authors,omitempty"`
	Homepage        string                   `json:"homepage,omitempty"`
	Repository      string                   `json:"repository,omitempty"`
	Documentation   string                   `json:"documentation,omitempty"`
	Issues          string                   `json:"issues,omitempty"`
	Changelog       string                   `json:"changelog,omitempty"`
	Readme          string                   `json:"readme,omitempty"`
	Keywords        []string                 `json:"keywords,omitempty"`
	Categories      []string                 `json:"categories,omitempty"`
	Sources         []string                 `json:"sources,omitempty"`
	Include         []string                 `json:"include,omitempty"`
	Files           *FilesView               `json:"files,omitempty"`
	CFlags          map[string][]string      `json:"cflags,omitempty"`
	LDFlags         map[string][]string      `json:"ldflags,omitempty"`
	Requires        []RequirementView        `json:"requires,omitempty"`
	DevRequires     []RequirementView        `json:"dev_requires,omitempty"`
	BuildRequires   []RequirementView        `json:"build_requires,omitempty"`
	Conflicts       []RequirementView        `json:"conflicts,omitempty"`
	System          map[string][]string      `json:"system,omitempty"`
	Provides        []string                 `json:"provides,omitempty"`
	Replaces        []string                 `json:"replaces,omitempty"`
	Traits          []TraitView              `json:"traits,omitempty"`
	Variants        map[string]any           `json:"variants,omitempty"`
	Supports        string                   `json:"supports,omitempty"`
	Build           *BuildView               `json:"build,omitempty"`
	Components      map[string]ComponentView `json:"components,omitempty"`
	ABI             *ABIView                 `json:"abi,omitempty"`
	Security        *SecurityView            `json:"security,omitempty"`
	Registry        RegistryView             `json:"registry"`
	Extra           map[string]any           `json:"extra,omitempty"`
}

// StandardView is Standard in JSON.
type StandardView struct {
	C   string `json:"c,omitempty"`
	CXX string `json:"cxx,omitempty"`
}

// FilesView is FileSet in JSON.
type FilesView struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
}

// RequirementView is Requirement in JSON; one of Range, Local and Git is set.
type RequirementView struct {
	Name       string            `json:"name"`
	Range      string            `json:"range,omitempty"`
	Local      string            `json:"local,omitempty"`
	Git        string            `json:"git,omitempty"`
	Traits     map[string]string `json:"traits,omitempty"`
	Visibility string            `json:"visibility,omitempty"`
	Optional   bool              `json:"optional,omitempty"`
	When       string            `json:"when,omitempty"`
}

// TraitView is Trait in JSON.
type TraitView struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Default     string   `json:"default,omitempty"`
	Values      []string `json:"values,omitempty"`
	ABI         bool     `json:"abi,omitempty"`
	Description string   `json:"description,omitempty"`
}

// BuildView is BuildSpec in JSON.
type BuildView struct {
	System string   `json:"system,omitempty"`
	Args   []string `json:"args,omitempty"`
}

// ComponentView is Component in JSON.
type ComponentView struct {
	Type            string   `json:"type,omitempty"`
	Includes        []string `json:"includes,omitempty"`
	Definitions     []string `json:"definitions,omitempty"`
	CompileFeatures []string `json:"compile_features,omitempty"`
	Requires        []string `json:"requires,omitempty"`
	LinkLibraries   []string `json:"link_libraries,omitempty"`
	Location        string   `json:"location,omitempty"`
}

// ABIView is ABI in JSON.
type ABIView struct {
	Policy string `json:"policy,omitempty"`
	SOName string `json:"soname,omitempty"`
}

// SecurityView is Security in JSON.
type SecurityView struct {
	Policy         string `json:"policy,omitempty"`
	CPE            string `json:"cpe,omitempty"`
	UpstreamURL    string `json:"upstream_url,omitempty"`
	UpstreamCommit string `json:"upstream_commit,omitempty"`
}

// RegistryView is Registry in JSON.
type RegistryView struct {
	Publish bool   `json:"publish"`
	Access  string `json:"access"`
}

// View returns m as the API shows it. Its JSON is the same for the same
// document, byte for byte: lists are ordered and encoding/json sorts maps.
func (m *Manifest) View() ManifestView {
	v := ManifestView{
		Schema: m.Schema, Name: m.Name.String(), Version: m.Version.String(), UpstreamVersion: m.UpstreamVersion,
		Type: m.Type, Language: m.Language, Description: m.Description, License: m.License, LicenseFile: m.LicenseFile,
		Authors: m.Authors, Homepage: m.Homepage, Repository: m.Repository, Documentation: m.Documentation,
		Issues: m.Issues, Changelog: m.Changelog, Readme: m.Readme, Keywords: m.Keywords, Categories: m.Categories,
		Sources: m.Sources, Include: m.Include, CFlags: m.CFlags, LDFlags: m.LDFlags,
		Requires: requirementViews(m.Requires), DevRequires: requirementViews(m.DevRequires),
		BuildRequires: requirementViews(m.BuildRequires), Conflicts: requirementViews(m.Conflicts),
		System: m.System, Provides: m.Provides, Replaces: m.Replaces, Variants: m.Variants, Supports: m.Supports,
		Registry: RegistryView(m.Registry), Extra: m.Extra,
	}
	if m.Name.IsZero() {
		v.Name = m.written.name
	}
	if m.Version.IsZero() {
		v.Version = m.written.version
	}
	if m.Standard != (Standard{}) {
		v.Standard = &StandardView{m.Standard.C, m.Standard.CXX}
	}
	if len(m.Files.Include)+len(m.Files.Exclude) > 0 {
		v.Files = &FilesView{m.Files.Include, m.Files.Exclude}
	}
	for _, t := range m.Traits {
		v.Traits = append(v.Traits, TraitView(t))
	}
	if m.Build.System != "" || len(m.Build.Args) > 0 {
		v.Build = &BuildView{m.Build.System, m.Build.Args}
	}
	if len(m.Components) > 0 {
		v.Components = make(map[string]ComponentView, len(m.Components))
		for name, c := range m.Components {
			v.Components[name] = ComponentView(c)
		}
	}
	if m.ABI != (ABI{}) {
		v.ABI = &ABIView{m.ABI.Policy, m.ABI.SOName}
	}
	if m.Security != (Security{}) {
		v.Security = (*SecurityView)(&m.Security)
	}
	return v
}

// MarshalJSON is the JSON of View.
func (m *Manifest) MarshalJSON() ([]byte, error) { return json.Marshal(m.View()) }

func requirementViews(list []Requirement) []RequirementView {
	views := make([]RequirementView, 0, len(list))
	for _, r := range list {
		v := RequirementView{
			Name: r.Name, Local: r.Local, Git: r.Git, Traits: r.Traits,
			Visibility: r.Visibility, Optional: r.Optional, When: r.When,
		}
		if r.Local == "" && r.Git == "" {
			v.Range = r.Range.String()
		}
		views = append(views, v)
	}
	return views
}
