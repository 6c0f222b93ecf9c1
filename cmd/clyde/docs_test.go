package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReference: docs/cli.md has every command with its usage line, every flag
// with its short form, every exit status and every variable.
func TestReference(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	root := newRoot(&app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard})
	headings := map[string]bool{}
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			continue
		}
		use := strings.TrimSuffix(cmd.UseLine(), " [flags]")
		use = strings.TrimSuffix(use, " --message TEXT")
		heading := "\n### " + use + "\n"
		headings[strings.TrimSpace(heading)] = true
		_, section, ok := strings.Cut(doc, heading)
		if !ok {
			t.Errorf("docs/cli.md has no heading %q", strings.TrimSpace(heading))
			continue
		}
		if end := regexp.MustCompile(`(?m)^##`).FindStringIndex(section); end != nil {
			section = section[:end[0]]
		}
		checkFlags(t, cmd.CommandPath(), cmd.LocalNonPersistentFlags(), section)
		for _, sub := range cmd.Commands() {
			if !strings.Contains(section, "`"+sub.UseLine()+"`") {
				t.Errorf("docs/cli.md does not have %q", sub.UseLine())
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### clyde .*$`).FindAllString(doc, -1) {
		if !headings[m] {
			t.Errorf("docs/cli.md has %q, which is no command", m)
		}
	}
	checkFlags(t, "clyde", root.PersistentFlags(), doc)
	for _, code := range []int{
		exitOK, exitError, exitUsage, exitBuild, exitNotFound, exitNoVersion, exitDenied, exitUnverified,
		exitUnavailable, exitConflict, exitPolicy, exitInvalid, exitInterrupted,
	} {
		if !strings.Contains(doc, "\n| "+strconv.Itoa(code)+" | ") {
			t.Errorf("docs/cli.md does not have the exit status %d", code)
		}
	}
	for _, v := range []string{tokenVar, keyVar, storeVar, "CLYDE_REGISTRY", "CLYDE_CONFIG", "CLYDE_KEY_PASSWORD", "SOURCE_DATE_EPOCH", "DOCKER_CONFIG", "NO_COLOR"} {
		if !strings.Contains(doc, "`"+v+"`") {
			t.Errorf("docs/cli.md does not have the variable %s", v)
		}
	}
}

func checkFlags(t *testing.T, path string, flags *pflag.FlagSet, section string) {
	t.Helper()
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		want := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			want = "`-" + f.Shorthand + "`, " + want
		}
		if !strings.Contains(section, want) {
			t.Errorf("docs/cli.md does not have %s of %s", want, path)
		}
	})
}

// TestHelp: every command says what it is for and runs with --help; its lines
// fit a terminal.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q; want a phrase without a full stop", cmd.CommandPath(), cmd.Short)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(strings.TrimRight(line, "\n")) > 112 {
				t.Errorf("%s: a line of its help has %d bytes: %q", cmd.CommandPath(), len(line), line)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}
