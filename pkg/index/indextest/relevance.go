package indextest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clydepm/clyde-registry/pkg/clyde"
	"github.com/clydepm/clyde-registry/pkg/index"
)

// Judgement is a query and the names, by base name, that a person expects on
// the first page.
type Judgement struct {
	Query  string   `json:"query"`
	Expect []string `json:"expect"`
	Kind   string   `json:"kind"` // exact, prefix, typo, concept; may be empty
}

// Figures are the outcome of a set of judgements, each from 0 to 1.
type Figures struct {
	Queries int
	Recall  float64 // mean share of the expected names (at most 5) among the first 5 hits
	MRR     float64 // mean of 1/rank of the first expected name, 0 below rank 20
}

func (f Figures) String() string {
	return fmt.Sprintf("%d queries, R@5 %.3f, MRR %.3f", f.Queries, f.Recall, f.MRR)
}

// Judge asks e every query and returns the figures by kind, and under "" those
// of all. The test's log gets a line for each query that is not answered in
// full.
func Judge(t testing.TB, e index.Engine, set []Judgement) map[string]Figures {
	t.Helper()
	sums := map[string]Figures{}
	for _, j := range set {
		r, err := e.Search(t.Context(), index.Query{Text: j.Query})
		if err != nil {
			t.Fatalf("Search(%q): %v", j.Query, err)
		}
		found, first := 0, 0
		var got []string
		for i, h := range r.Hits {
			base := h.Key[strings.LastIndexByte(h.Key, '/')+1:]
			if i < 8 {
				got = append(got, base)
			}
			if !slices.Contains(j.Expect, base) {
				continue
			}
			if first == 0 {
				first = i + 1
			}
			if i < 5 {
				found++
			}
		}
		recall := float64(found) / float64(min(5, len(j.Expect)))
		rr := 0.0
		if first > 0 {
			rr = 1 / float64(first)
		}
		if recall < 1 || rr < 1 {
			t.Logf("%-8s %-24q R@5 %.2f RR %.2f: %v; want of %v", j.Kind, j.Query, recall, rr, got, j.Expect)
		}
		for _, kind := range []string{"", j.Kind} {
			f := sums[kind]
			f.Queries++
			f.Recall += recall
			f.MRR += rr
			sums[kind] = f
			if j.Kind == "" {
				break
			}
		}
	}
	for kind, f := range sums {
		f.Recall /= float64(f.Queries)
		f.MRR /= float64(f.Queries)
		sums[kind] = f
	}
	return sums
}

// ReadJudgements reads a file of paragraphs: comments, the query, the expected
// names one a line. A comment of the form "# kind: x" sets Judgement.Kind for
// the paragraphs below it.
func ReadJudgements(file string) ([]Judgement, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var (
		out  []Judgement
		cur  Judgement
		kind string
	)
	for line := range strings.Lines(string(b) + "\n\n") {
		line = strings.TrimSpace(line)
		if k, ok := strings.CutPrefix(line, "# kind: "); ok {
			kind = k
		}
		switch {
		case line == "" && cur.Query != "":
			if len(cur.Expect) == 0 {
				return nil, fmt.Errorf("%s: query %q expects nothing", file, cur.Query)
			}
			out, cur = append(out, cur), Judgement{}
		case line == "" || line[0] == '#' && cur.Query == "" && !strings.HasPrefix(line, "#include"):
		case cur.Query == "":
			cur = Judgement{Query: line, Kind: kind}
		default:
			cur.Expect = append(cur.Expect, line)
		}
	}
	return out, nil
}

// Shared returns a file of the data set that does not belong to the project:
// under $CLYDE_SHARED/data, or ../shared/data beside the repository. It skips
// the test where the file is absent.
func Shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("CLYDE_SHARED")
	if dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dir = wd; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
				break
			}
		}
		dir = filepath.Join(dir, "..", "shared")
	}
	file := filepath.Join(dir, "data", name)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("%s is not here (set CLYDE_SHARED): %v", name, err)
	}
	return file
}

// ReadPackages reads documents from JSON lines with the keys name, scope,
// aliases, version, description, keywords, license, language, platforms, type,
// headers, readme, dependencies, dependents; all but name may be missing.
func ReadPackages(file string) ([]index.Document, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var docs []index.Document
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var p struct {
			Name, Scope, Version, Description, License, Language, Type, Readme string
			Aliases, Keywords, Platforms, Headers, Dependencies                []string
			Dependents                                                         int
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", file, len(docs)+1, err)
		}
		ns := p.Scope
		if ns == "" {
			ns = "pkgs"
		}
		n := clyde.Name{Namespace: ns, Base: p.Name}
		docs = append(docs, index.Document{
			Key: n.Repo(), Name: n, Aliases: p.Aliases, Version: p.Version, Description: p.Description,
			Keywords: p.Keywords, License: p.License, Language: p.Language, Platforms: p.Platforms, Kind: p.Type,
			Headers: p.Headers, Readme: p.Readme, Dependencies: p.Dependencies, Dependents: p.Dependents,
		})
	}
	return docs, lines.Err()
}

// ReadJudgementLines reads judgements from JSON lines.
func ReadJudgementLines(file string) ([]Judgement, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []Judgement
	for line := range strings.Lines(string(b)) {
		var j Judgement
		if err := json.Unmarshal([]byte(line), &j); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, j)
	}
	return out, nil
}
