package store

import (
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/internal/postgrestest"
)

// The first migration of Postgres is all of SQLite's up to the same number;
// after it each engine has a file for each number.
func TestMigrationsOfBothEngines(t *testing.T) {
	t.Parallel()
	names := func(engine string) []string {
		files, err := fs.Glob(migrations, "migrations/"+engine+"/*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			files[i] = filepath.Base(f)
		}
		return files
	}
	postgres := names("postgres")
	number := func(file string) string { n, _, _ := strings.Cut(file, "_"); return n }
	from := number(postgres[0])
	sqlite := slices.DeleteFunc(names("sqlite"), func(f string) bool { return number(f) <= from })
	if !slices.Equal(postgres[1:], sqlite) {
		t.Errorf("migrations after %s: postgres has %q, sqlite %q: write the one that is missing", from, postgres[1:], sqlite)
	}
}

// Both engines have the same tables, columns and indexes, so that one set of
// statements runs on both and migrate can copy from one to the other.
func TestPostgresSchema(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	file := openInternal(t, Options{})
	db := openInternal(t, Options{URL: server.Database(t)})

	sqlite, err := file.schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	postgres, err := db.schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := slices.Sorted(maps.Keys(sqlite)), slices.Sorted(maps.Keys(postgres)); !slices.Equal(a, b) {
		t.Errorf("tables of sqlite %q; of postgres %q", a, b)
	}
	for table, columns := range sqlite {
		for name, want := range columns {
			if got, ok := postgres[table][name]; !ok || got != want {
				t.Errorf("%s.%s is %+v on sqlite and %+v on postgres", table, name, want, got)
			}
		}
		for name := range postgres[table] {
			if _, ok := columns[name]; !ok {
				t.Errorf("%s.%s is on postgres alone", table, name)
			}
		}
	}

	indexes := func(db *DB, stmt string) []string {
		rows, err := db.read.QueryContext(t.Context(), stmt)
		names, err := collect(rows, err, scanString)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		return names
	}
	a := indexes(file, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
	b := indexes(db, "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname !~ '_(pkey|key)$' AND indexname NOT LIKE 'goose%'")
	if !slices.Equal(a, b) {
		t.Errorf("indexes of sqlite %q; of postgres %q", a, b)
	}

	t.Run("order of bytes", func(t *testing.T) {
		rows, err := db.read.QueryContext(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = current_schema() AND data_type = 'text' AND COALESCE(collation_name, '') <> 'C' ORDER BY 1`)
		others, err := collect(rows, err, scanString)
		if err != nil || len(others) > 0 {
			t.Errorf("columns in another order than their bytes: %q, %v; write TEXT COLLATE \"C\"", others, err)
		}
	})
	t.Run("every query prepares", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(queries())) {
			t.Run(name, func(t *testing.T) {
				s, err := db.read.PrepareContext(t.Context(), query(db.eng, name))
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}()
			})
		}
	})
	t.Run("append only", func(t *testing.T) { appendOnly(t, db) })
}

// Reports of signatures that an older release stored are read by the names of
// today, and what they say stays what it was.
func TestReportWords(t *testing.T) {
	t.Parallel()
	reportWords(t, openInternal(t, Options{}))
}

func TestPostgresReportWords(t *testing.T) {
	t.Parallel()
	reportWords(t, openInternal(t, Options{URL: postgrestest.Start(t).Database(t)}))
}

func reportWords(t *testing.T, db *DB) {
	t.Helper()
	ctx := t.Context()
	for version, report := range map[string]string{
		"1.0.0": `{"signatures":[{"state":"verified","keyFingerprint":"SHA256:x","keyName":"a \"keyName\":","predicateType":"https://x"}],"attestations":[{"predicateType":"é"}]}`,
		"2.0.0": "",
	} {
		r := Release{Repo: "acme/zlib", VersionKey: version, Version: version, State: "visible", Report: []byte(report)}
		if err := db.SaveRelease(ctx, Package{Repo: r.Repo, Latest: version, Doc: []byte{}}, r, nil, Change{}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := migrations.ReadFile("migrations/" + db.eng.name() + "/0022_report_words.sql")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // again changes nothing
		if _, err := db.writer.conn.ExecContext(ctx, string(b)); err != nil {
			t.Fatal(err)
		}
	}
	for version, want := range map[string]string{
		"1.0.0": `{"signatures":[{"state":"verified","key_fingerprint":"SHA256:x","key_name":"a \"keyName\":","predicate_type":"https://x"}],"attestations":[{"predicate_type":"é"}]}`,
		"2.0.0": "",
	} {
		r, err := db.ReleaseByVersion(ctx, "acme/zlib", version)
		if err != nil || string(r.Report) != want {
			t.Errorf("report of %s = %s, %v; want %s", version, r.Report, err, want)
		}
	}
}
