package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Publish uploads a package.yaml and its source archive and returns the
// release. The media type is that of the archive:
// "application/vnd.clyde.package.source.v1.tar+gzip" or another the format
// names. With a key (Idempotency-Key; may be empty) a request that is sent
// again has the first one's reply.
func (c *Client) Publish(ctx context.Context, manifest []byte, archive io.Reader, mediaType, key string) (Release, error) {
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	written := make(chan error, 1)
	go func() {
		err := writeForm(form, manifest, archive, mediaType)
		_ = pw.CloseWithError(err)
		written <- err
	}()
	h := http.Header{"Content-Type": {form.FormDataContentType()}, "Accept": {"application/json"}}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	resp, err := c.send(ctx, http.MethodPost, "/packages", pr, h)
	_ = pr.Close() // a reply that came early ends the writing
	if werr := <-written; err != nil {
		if resp == nil && werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
			err = fmt.Errorf("reading the archive: %w", werr)
		}
		return Release{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := c.read(ctx, resp, MaxReply)
	if err != nil {
		return Release{}, err
	}
	var out Release
	if err := json.Unmarshal(b, &out); err != nil {
		return Release{}, c.notOurs(resp, err)
	}
	return out, nil
}

// writeForm writes the two parts in the order in which the server reads them.
func writeForm(form *multipart.Writer, manifest []byte, archive io.Reader, mediaType string) error {
	part := func(name, contentType string) (io.Writer, error) {
		return form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(name, name)},
			"Content-Type":        {contentType},
		})
	}
	w, err := part("package.yaml", "application/yaml")
	if err != nil {
		return err
	}
	if _, err := w.Write(manifest); err != nil {
		return err
	}
	if w, err = part("archive", mediaType); err != nil {
		return err
	}
	if _, err := io.Copy(w, archive); err != nil {
		return err
	}
	return form.Close()
}

// Yank withdraws a version or brings it back.
func (c *Client) Yank(ctx context.Context, name clyde.Name, version string, req YankRequest) (Release, error) {
	var out Release
	err := c.call(ctx, http.MethodPatch, releasePath(name, version), req, &out, nil)
	return out, err
}

// Deprecate marks a package, or takes the mark away.
func (c *Client) Deprecate(ctx context.Context, name clyde.Name, d Deprecation) (Package, error) {
	var out Package
	err := c.call(ctx, http.MethodPut, packagePath(name)+"/deprecation", d, &out, nil)
	return out, err
}

func keysPath(namespace string) string { return "/namespaces/" + url.PathEscape(namespace) + "/keys" }

// Keys returns a namespace's public keys, revoked ones too.
func (c *Client) Keys(ctx context.Context, namespace string) ([]Key, error) {
	return list[Key](ctx, c, keysPath(namespace), nil)
}

// AddKey registers a public key (PEM) for a namespace.
func (c *Client) AddKey(ctx context.Context, namespace, name, pem string) (Key, error) {
	var out Key
	err := c.call(ctx, http.MethodPost, keysPath(namespace), struct {
		Name string `json:"name"`
		PEM  string `json:"pem"`
	}{name, pem}, &out, nil)
	return out, err
}

// RevokeKey ends a key by its fingerprint.
func (c *Client) RevokeKey(ctx context.Context, namespace, fingerprint string) error {
	return c.call(ctx, http.MethodDelete, keysPath(namespace)+"?"+url.Values{"fingerprint": {fingerprint}}.Encode(), nil, nil, nil)
}

// Tokens returns every token; for administrators.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return list[Token](ctx, c, "/tokens", nil)
}

// CreateToken makes a token; its Secret is shown this once.
func (c *Client) CreateToken(ctx context.Context, req TokenRequest) (Token, error) {
	var out Token
	err := c.call(ctx, http.MethodPost, "/tokens", req, &out, nil)
	return out, err
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(id), nil, nil, nil)
}
