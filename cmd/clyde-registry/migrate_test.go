package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
)

// runs runs the program, and returns its exit status and what it printed.
func runs(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

// A registry in a file moves to Postgres by one command, and what only a file
// can do is refused there.
func TestPostgresMigrate(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	url := pg.Database(t)
	data := t.TempDir()
	file := []string{"CLYDE_DATA_DIR=" + data}
	code, token, stderr := runs(t, file, "token", "create", "ci", "--admin")
	if code != exitOK {
		t.Fatal(stderr)
	}
	there := append(file, "CLYDE_DATABASE_URL="+url)
	from := "sqlite:" + filepath.Join(data, "clyde.db")
	if code, stdout, stderr := runs(t, there, "migrate", "--from", from); code != exitOK || !strings.Contains(stdout, "the same on both sides") {
		t.Fatalf("migrate = %d %s %s", code, stdout, stderr)
	}
	if _, stdout, _ := runs(t, there, "token", "list"); !strings.Contains(stdout, token[:8]) {
		t.Errorf("tokens after it: %s", stdout)
	}
	backup := filepath.Join(t.TempDir(), "backup.tar")
	for what, tt := range map[string]struct {
		args  []string
		words string
	}{
		"again":              {[]string{"migrate", "--from", from}, "is not empty"},
		"from nowhere":       {[]string{"migrate", "--from", "sqlite:" + data + "/none.db"}, "there is no database at"},
		"without a scheme":   {[]string{"migrate", "--from", "clyde.db"}, "begins with sqlite: or postgres://"},
		"backup of Postgres": {[]string{"backup", backup}, "pg_dump"},
		"restore into it":    {[]string{"restore", backup}, "pg_restore"},
	} {
		if code, _, stderr := runs(t, there, tt.args...); code != exitError || !strings.Contains(stderr, tt.words) {
			t.Errorf("%s = %d %s; want it refused with %q", what, code, stderr, tt.words)
		}
	}
	if _, err := os.Stat(backup); err == nil {
		t.Error("a refused backup left a file")
	}
}
