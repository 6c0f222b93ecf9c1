package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxRequest bounds the body that clyde api sends, in bytes: what is larger is
// an archive and goes by clyde publish.
const maxRequest = 16 << 20

// methods is what clyde api takes for one.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

func newAPI(a *app) *cobra.Command {
	var input string
	var headers []string
	var include bool
	cmd := &cobra.Command{
		Use:   "api [METHOD] PATH",
		Short: "Send a request to the registry's API as you",
		Long: "Send a request with your credentials and print the reply's body as it came. PATH counts from /api/v1,\n" +
			"or from the root where it begins with /api/, /.well-known/, /healthz or /readyz. METHOD is GET, or POST\n" +
			"with --input. A reply that is no success is printed, too, and sets the exit status.",
		Example: "  clyde api /packages/acme/fastjson\n  clyde api PUT /packages/acme/fastjson/deprecation --input body.json",
		Args:    wants(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			method, path := http.MethodGet, args[len(args)-1]
			if input != "" {
				method = http.MethodPost
			}
			if len(args) == 2 {
				method = strings.ToUpper(args[0])
			}
			if !slices.Contains(methods, method) {
				return usagef("%q is no method", method).fix("use one of %s", strings.Join(methods, ", "))
			}
			h := http.Header{"Accept": {"application/json"}}
			for _, s := range headers {
				k, v, ok := strings.Cut(s, ":")
				if !ok || strings.EqualFold(strings.TrimSpace(k), "Authorization") {
					return usagef("--header: write NAME:VALUE; Authorization comes from clyde login")
				}
				h.Set(strings.TrimSpace(k), strings.TrimSpace(v))
			}
			var body io.Reader
			if input != "" {
				b, err := a.readInput(input)
				if err != nil {
					return err
				}
				body = bytes.NewReader(b)
				if h.Get("Content-Type") == "" {
					h.Set("Content-Type", "application/json")
				}
			}
			c, err := a.api(cmd.Context())
			if err != nil {
				return err
			}
			resp, err := c.Do(cmd.Context(), method, path, body, h)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			if err := a.showReply(resp, include); err != nil {
				return err
			}
			return replyError(method, path, resp)
		},
	}
	cmd.Flags().StringVar(&input, "input", "", "file to send as the body; - is standard input")
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "header to send, NAME:VALUE; may be given several times")
	cmd.Flags().BoolVarP(&include, "include", "i", false, "print the reply's status and headers, too")
	return cmd
}

// readInput reads the file called name, or standard input for "-".
func (a *app) readInput(name string) ([]byte, error) {
	if name == "-" {
		return readAll(a.stdin, maxRequest, "standard input")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, missing(name, err)
	}
	defer f.Close()
	return readAll(f, maxRequest, name)
}

// showReply prints a reply: as it came into a pipe, harmless on a terminal.
func (a *app) showReply(resp *http.Response, include bool) error {
	tty := isTerminal(a.stdout)
	if a.json {
		b, err := readAll(resp.Body, client.MaxReply, "the reply")
		if err != nil {
			return err
		}
		out := struct {
			Status  int         `json:"status"`
			Headers http.Header `json:"headers"`
			Body    any         `json:"body"`
		}{resp.StatusCode, resp.Header, string(b)}
		if json.Valid(b) {
			out.Body = json.RawMessage(b)
		}
		return a.emit("api", out)
	}
	if include {
		if err := a.printf("%s %s\n", resp.Proto, clean(resp.Status)); err != nil {
			return err
		}
		for _, k := range slices.Sorted(maps.Keys(resp.Header)) {
			if err := a.printf("%s: %s\n", clean(k), clean(strings.Join(resp.Header[k], ", "))); err != nil {
				return err
			}
		}
		if err := a.printf("\n"); err != nil {
			return err
		}
	}
	if !tty {
		_, err := io.Copy(a.stdout, resp.Body)
		return err
	}
	b, err := readAll(resp.Body, client.MaxReply, "the reply")
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, b, "", "  ") == nil {
		b = pretty.Bytes()
	}
	for line := range strings.Lines(string(b)) {
		text := strings.TrimRight(line, "\n")
		indent := len(text) - len(strings.TrimLeft(text, " \t"))
		if err := a.printf("%s%s\n", text[:indent], clean(text[indent:])); err != nil {
			return err
		}
	}
	return nil
}

// replyError is the failure that a reply which was printed amounts to, or nil.
func replyError(method, path string, resp *http.Response) error {
	kind := clyde.KindOfStatus(resp.StatusCode)
	if kind == nil {
		return nil
	}
	return replied{fmt.Errorf("%s %s answered %s: %w", method, path, resp.Status, kind)}
}

// replied is a failure whose reply is on standard output already: a sentence
// for people follows, and no second JSON object.
type replied struct{ err error }

func (e replied) Error() string { return e.err.Error() }
func (e replied) Unwrap() error { return e.err }
