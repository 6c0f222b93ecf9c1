package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// app is what the commands share: where they read and write, and what the
// flags, the environment and the configuration file say.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	json, quiet  bool
	annotates    bool // problems become annotations of a CI run
	registryFlag string
	progressFlag string

	exchanged    credential // what this CI run was given for its identity
	settings     settings
	settingsPath string
	cleanups     []func() // run when the command has ended

	asking sync.Mutex // held while the registry is asked where things are
	asked  *site      // its answer

	mu        sync.Mutex // of what follows, and of lines on stderr
	warned    bool       // of a secret over plain HTTP
	plainHTTP bool       // --plain-http: secrets may travel in the open
	vouched   string     // host that our registry says its OCI repositories are on
}

// atExit has f run when the command has ended, however it did.
func (a *app) atExit(f func()) { a.cleanups = append(a.cleanups, f) }

// prepare reads the configuration before a command runs. Those that mend a
// broken one run without it.
func (a *app) prepare(cmd *cobra.Command) error {
	path, err := configPath()
	if err != nil {
		return err
	}
	a.settingsPath = path
	if cmd.Annotations["config"] == "unread" {
		return nil
	}
	if a.settings, err = readSettings(path); err != nil {
		return err
	}
	if a.progressFlag == "" {
		a.progressFlag = a.settings.Progress
	}
	if err := checkProgress(a.progressFlag); err != nil {
		return usagef("--progress: %v", err)
	}
	return nil
}

// emit prints v, which must marshal to an object, with the schema of command
// name in front.
func (a *app) emit(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return a.emitRaw(name, b)
}

func (a *app) emitRaw(name string, object []byte) error {
	head := fmt.Appendf(nil, `{"schema":"clyde.%s/v1"`, name)
	if string(object) != "{}" {
		head = append(head, ',')
	}
	var b bytes.Buffer
	if err := json.Indent(&b, append(head, object[1:]...), "", "  "); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.WriteByte('\n')
	_, err := a.stdout.Write(b.Bytes())
	return err
}

// say tells a person what is happening, unless they asked for quiet.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		a.mu.Lock()
		defer a.mu.Unlock()
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// printf prints a result.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

// Colours, as SGR parameters.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours s where w is a terminal that wants it (https://no-color.org).
func (a *app) paint(w io.Writer, sgr, s string) string {
	if os.Getenv("NO_COLOR") != "" || !isTerminal(w) {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// isTerminal reports whether w is a terminal that can move its cursor.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// clean replaces what could drive a terminal or turn the direction of text:
// names and descriptions come from strangers.
func clean(s string) string {
	if inActions() {
		s = strings.ReplaceAll(s, oldCommand, "## [")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == 0x200C || r == 0x200D: // join letters and emoji, and do nothing else
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return '\uFFFD'
		}
		return r
	}, s)
}

// maxSecret is the longest secret read from standard input, in bytes; our own
// tokens are under 100 and those of an OIDC issuer under 8 KiB.
const maxSecret = 16 << 10

// secret asks for something that must not be seen while it is typed.
func (a *app) secret(prompt string) ([]byte, error) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, usagef("%s is needed, and standard input is no terminal to ask on", prompt)
	}
	fmt.Fprintf(a.stderr, "%s: ", prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", prompt, err)
	}
	return b, nil
}

// readAll reads r, refusing more than limit bytes of what.
func readAll(r io.Reader, limit int64, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, clyde.Errorf(clyde.ErrTooLarge, "%s is larger than %d bytes", what, limit)
	}
	return b, nil
}

// size shows a number of bytes to a person.
func size(n int64) string { return clyde.FormatSize(n) }

// plural is "1 file", "2 files", "2 dependencies", "2 days".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok && !strings.HasSuffix(stem, "a") {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
