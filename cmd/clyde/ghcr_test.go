package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWebAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://github.com/Acme/zlib.git":        "https://github.com/Acme/zlib",
		"https://ada:secret@github.com/Acme/zlib": "https://github.com/Acme/zlib",
		"git@github.com:Acme/zlib.git":            "https://github.com/Acme/zlib",
		"ssh://git@github.com/Acme/zlib/":         "https://github.com/Acme/zlib",
		"https://gitlab.com/group/sub/zlib":       "https://gitlab.com/group/sub/zlib",
		"/srv/git/zlib.git":                       "",
		"file:///srv/git/zlib.git":                "",
		"https://github.com/Acme":                 "",
		"https://github.com/Acme/zlib?x=y":        "",
		"ext::sh -c 'echo pwned'":                 "",
		"":                                        "",
	} {
		if got := webAddress(in); got != want {
			t.Errorf("webAddress(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestGitRemote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sub := filepath.Join(dir, "a", "b")
	text := "[core]\n\turl = https://other.example/x/y\n[remote \"upstream\"]\n\turl = https://github.com/up/stream\n[remote \"origin\"]\n\tfetch = x\n\turl = git@github.com:acme/zlib.git\n"
	for _, err := range []error{os.MkdirAll(sub, 0o755), os.Mkdir(filepath.Join(dir, ".git"), 0o755), os.WriteFile(filepath.Join(dir, ".git", "config"), []byte(text), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := gitRemote(sub); got != "git@github.com:acme/zlib.git" {
		t.Errorf("gitRemote = %q", got)
	}
}
