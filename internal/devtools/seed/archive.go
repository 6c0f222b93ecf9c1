package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// packer makes small source archives, one at a time: a compressor is large
// beside what it compresses here, so it is kept. The zero value is ready.
type packer struct{ gz *gzip.Writer }

// pack makes an archive of package.yaml, a readme, a license and the headers.
// The same record gives the same bytes, so that seeding again publishes
// nothing.
func (p *packer) pack(r record, m manifest, packageYAML []byte) ([]byte, error) {
	files := map[string]string{
		"package.yaml": string(packageYAML),
		"README.md":    cmp.Or(r.Readme, readme(r, m)),
		"LICENSE":      license(r, m),
	}
	for _, h := range headers(r, m) {
		files["include/"+h] = header(h, m)
	}
	names := make([]string, 0, len(files))
	for f := range files {
		names = append(names, f)
	}
	slices.Sort(names)

	var b bytes.Buffer
	if p.gz == nil {
		p.gz = gzip.NewWriter(nil)
	}
	p.gz.Reset(&b)
	w := tar.NewWriter(p.gz)
	for _, f := range names {
		h := &tar.Header{Name: f, Mode: 0o644, Size: int64(len(files[f])), ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if _, err := w.Write([]byte(files[f])); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := p.gz.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// headers returns the record's, or the one that its name suggests.
func headers(r record, m manifest) []string {
	if len(r.Headers) > 0 {
		return r.Headers
	}
	if m.Type != "library" && m.Type != "header-only" {
		return nil
	}
	ext := ".hpp"
	if m.Language == "c" {
		ext = ".h"
	}
	return []string{path.Join(r.Name, r.Name) + ext}
}

func header(file string, m manifest) string {
	guard := strings.ToUpper(slug(file, "_"))
	return fmt.Sprintf("/* %s of %s %s: a placeholder, made from metadata. */\n#ifndef %[4]s\n#define %[4]s\n\n#endif\n", file, m.Name, m.Version, guard)
}

func license(r record, m manifest) string {
	if m.License == "" {
		return "The metadata of this package names no license; see " + cmp.Or(r.Homepage, "its project") + ".\n"
	}
	return fmt.Sprintf("SPDX-License-Identifier: %s\n\nThe text itself is with the project: %s\n", m.License, cmp.Or(r.Homepage, r.Name))
}

func readme(r record, m manifest) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.Name)
	if m.Description != "" {
		fmt.Fprintf(&b, "%s\n\n", m.Description)
	}
	if hs := headers(r, m); len(hs) > 0 {
		lang := "cpp"
		if m.Language == "c" {
			lang = "c"
		}
		fmt.Fprintf(&b, "## Headers\n\n```%s\n", lang)
		for _, h := range hs {
			fmt.Fprintf(&b, "#include <%s>\n", h)
		}
		b.WriteString("```\n\n")
	}
	fmt.Fprintf(&b, "## About\n\n| | |\n|---|---|\n| Version | %s |\n", cmp.Or(m.Upstream, m.Version))
	if m.License != "" {
		fmt.Fprintf(&b, "| License | %s |\n", m.License)
	}
	if m.Homepage != "" {
		fmt.Fprintf(&b, "| Project | <%s> |\n", m.Homepage)
	}
	if len(r.Platforms) > 0 {
		fmt.Fprintf(&b, "| Platforms | %s |\n", strings.Join(r.Platforms, ", "))
	}
	if len(r.Aliases) > 0 {
		fmt.Fprintf(&b, "| Also known as | %s |\n", strings.Join(r.Aliases, ", "))
	}
	b.WriteString("\nThis package was made from metadata to fill a registry; it holds no code.\n")
	return b.String()
}
