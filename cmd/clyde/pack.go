package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// packFlags are those of every command that packs.
type packFlags struct {
	namespace, archive string
	zstd               bool
	ownerNamespace     string // namespace where neither package.yaml, flag nor address say one
	shown              string // what people are shown in place of the folder
	source             string // address of the repository, where package.yaml names none
}

func (p *packFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.namespace, "namespace", "", "namespace of a package whose package.yaml names none")
	f.StringVar(&p.archive, "archive", "", "ship this .tar.gz or .tar.zst as it is; - is standard input")
	f.BoolVar(&p.zstd, "zstd", false, "compress with zstd in place of gzip")
}

// pack makes the package in dir, or of the archive that the flags name. The
// caller closes the result.
func (a *app) pack(ctx context.Context, dir string, p packFlags) (*artifact.Packed, error) {
	epoch, err := sourceDateEpoch()
	if err != nil {
		return nil, err
	}
	o := artifact.PackOptions{Namespace: strings.TrimPrefix(p.namespace, "@"), Archive: p.archive, Epoch: epoch, Zstd: p.zstd, Source: p.source}
	if p.archive == "-" {
		name, remove, err := a.spool(artifact.MaxArchive)
		if err != nil {
			return nil, err
		}
		// A Packed of an archive opens it again for each push, so that it is
		// removed when the program ends.
		a.atExit(remove)
		o.Archive = name
	}
	packed, err := artifact.Pack(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	for _, w := range packed.Warnings {
		a.say("%s %s", a.paint(a.stderr, yellow, "warning:"), clean(w))
	}
	return packed, nil
}

// spool copies standard input to a temporary file of at most limit bytes.
func (a *app) spool(limit int64) (name string, remove func(), err error) {
	f, err := os.CreateTemp("", "clyde-stdin-*")
	if err != nil {
		return "", nil, fmt.Errorf("standard input: %w", err)
	}
	remove = func() { _ = os.Remove(f.Name()) }
	n, err := io.Copy(f, io.LimitReader(a.stdin, limit+1))
	if err = errors.Join(err, f.Close()); err == nil && n > limit {
		err = clyde.Errorf(clyde.ErrTooLarge, "standard input is larger than %s", size(limit))
	}
	if err != nil {
		remove()
		return "", nil, err
	}
	return f.Name(), remove, nil
}

// sourceDateEpoch is the time that the variable of that name sets
// (https://reproducible-builds.org/specs/source-date-epoch/).
func sourceDateEpoch() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, usagef("SOURCE_DATE_EPOCH is %q and not a number of seconds", s)
	}
	return time.Unix(n, 0).UTC(), nil
}

// packedJSON is a package in the --json output of pack, push and publish.
type packedJSON struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Digest      string   `json:"digest"`
	Archive     string   `json:"archive_digest"`
	ArchiveSize int64    `json:"archive_size"`
	Files       int      `json:"files"`
	Warnings    []string `json:"warnings,omitempty"`
}

func describe(p *artifact.Packed) packedJSON {
	source := p.Layers[0].Descriptor
	return packedJSON{
		p.Name.String(), p.Version.String(), p.Descriptor.Digest.String(),
		source.Digest.String(), source.Size, len(p.Files), p.Warnings,
	}
}

func newPack(a *app) *cobra.Command {
	var flags packFlags
	var output, layout string
	var list bool
	cmd := &cobra.Command{
		Use:   "pack [DIR]",
		Short: "Make a package of a directory without pushing it",
		Long: "Make the package in DIR (default: here) and print its digest. The same files give the same digest on\n" +
			"every machine and at any time. --output writes the source archive, --layout an OCI image layout, which\n" +
			"oras, crane and skopeo read; without either nothing is written. Times of files are SOURCE_DATE_EPOCH's.",
		Example: "  clyde pack\n  clyde pack --list\n  clyde pack -o fastjson.tar.gz --layout fastjson.oci path/to/package",
		Args:    wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if strings.HasSuffix(output, ".zst") {
				flags.zstd = true
			}
			if output == "-" && (a.json || list) {
				return usagef("--output - goes with neither --json nor --list: both want standard output")
			}
			p, err := a.pack(cmd.Context(), dir, flags)
			if err != nil {
				return err
			}
			defer p.Close()
			if err := a.writePacked(p, dir, output, layout); err != nil {
				return err
			}
			return a.showPacked(p, output, layout, list)
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the source archive to this file; - is standard output")
	cmd.Flags().StringVar(&layout, "layout", "", "write an OCI image layout into this new directory")
	cmd.Flags().BoolVar(&list, "list", false, "print the files that are in it")
	return cmd
}

func (a *app) showPacked(p *artifact.Packed, output, layout string, list bool) error {
	if a.json {
		out := struct {
			packedJSON
			Output string          `json:"output,omitempty"`
			Layout string          `json:"layout,omitempty"`
			List   []artifact.File `json:"list,omitempty"`
		}{packedJSON: describe(p), Output: output, Layout: layout}
		if list {
			out.List = p.Files
		}
		return a.emit("pack", out)
	}
	if list {
		for _, f := range p.Files {
			if f.Mode.IsDir() {
				continue
			}
			if err := a.printf("%d\t%s\n", f.Size, clean(f.Path)); err != nil {
				return err
			}
		}
	}
	a.say("%s %s: %s, %s packed", p.Name, p.Version, plural(len(p.Files), "entry"), size(p.Layers[0].Descriptor.Size))
	if list || output == "-" {
		a.say("%s", p.Descriptor.Digest)
		return nil
	}
	return a.printf("%s\n", p.Descriptor.Digest)
}

// writePacked writes the source archive to the file output and an OCI image
// layout to the directory layout; either may be empty.
func (a *app) writePacked(p *artifact.Packed, dir, output, layout string) error {
	for _, out := range []string{output, layout} {
		if out != "" && out != "-" && within(dir, out) {
			a.say("%s %s lies inside the package and would be packed next time; name it in %s", a.paint(a.stderr, yellow, "warning:"), out, artifact.IgnoreFile)
		}
	}
	switch output {
	case "":
	case "-":
		if isTerminal(a.stdout) {
			return usagef("an archive is nothing for a terminal").fix("send standard output to a file or a pipe")
		}
		if err := copyBlob(a.stdout, p.Layers[0]); err != nil {
			return err
		}
	default:
		if err := writeBlob(output, p.Layers[0]); err != nil {
			return err
		}
	}
	if layout == "" {
		return nil
	}
	return writeLayout(layout, p, p.Version.String())
}

// within reports whether path lies in dir.
func within(dir, path string) bool {
	d, err1 := filepath.Abs(dir)
	p, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(d, p)
	return err == nil && filepath.IsLocal(rel)
}

func copyBlob(w io.Writer, b artifact.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// writeBlob replaces the file at path with the blob, or leaves it as it was.
func writeBlob(path string, b artifact.Blob) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".clyde-*")
	if err != nil {
		return missing(filepath.Dir(path), err)
	}
	defer os.Remove(f.Name())
	err = errors.Join(copyBlob(f, b), f.Close())
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// writeLayout writes an OCI image layout with p under tag.
func writeLayout(dir string, p *artifact.Packed, tag string) error {
	if old, err := os.ReadDir(dir); err == nil && len(old) > 0 {
		return clyde.Errorf(clyde.ErrConflict, "%s exists and is not empty", dir).WithCode("directory_exists").Fix("remove it or name another directory")
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	for _, b := range append([]artifact.Blob{p.Config}, p.Layers...) {
		if err := writeBlob(filepath.Join(blobs, b.Descriptor.Digest.Encoded()), b); err != nil {
			return err
		}
	}
	desc := p.Descriptor
	desc.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{desc}}
	index.SchemaVersion = 2
	head, err1 := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	list, err2 := json.Marshal(index)
	return errors.Join(err1, err2,
		os.WriteFile(filepath.Join(blobs, p.Descriptor.Digest.Encoded()), p.Manifest, 0o644),
		os.WriteFile(filepath.Join(dir, ocispec.ImageLayoutFile), head, 0o644),
		os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), list, 0o644))
}
