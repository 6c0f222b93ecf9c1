package downloads

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// key is what pulls are added up by until they are written.
type key struct {
	repo, digest, day string
	Source
}

// sum is how many there were.
type sum struct{ count, raw int64 }

// batch is what was counted since the batch before, in memory and, line by
// line, in a file: a process that is killed loses none of it.
type batch struct {
	n    int64 // the number that the database notes
	path string
	file *os.File
	sums map[key]sum
}

func batchPath(dir string, n int64) string { return filepath.Join(dir, fmt.Sprintf("%d.pulls", n)) }

func newBatch(dir string, n int64) (*batch, error) {
	path := batchPath(dir, n)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &batch{n: n, path: path, file: f, sums: map[key]sum{}}, nil
}

// add counts one pull.
func (b *batch) add(k key, first bool) error {
	counted := "0"
	if first {
		counted = "1"
	}
	b.sum(k, first)
	// One write, so that a line is there or is the torn last one.
	_, err := b.file.WriteString(strings.Join([]string{k.repo, k.digest, k.day, k.Kind, k.Client, k.Platform, counted}, "\t") + "\n")
	return err
}

func (b *batch) sum(k key, first bool) {
	s := b.sums[k]
	s.raw++
	if first {
		s.count++
	}
	b.sums[k] = s
}

// close ends the writing; the file stays until remove.
func (b *batch) close() error {
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	return f.Close()
}

func (b *batch) remove() error {
	err := os.Remove(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// lineFields is how many fields a line has.
const lineFields = 7

// readBatches returns the batches that an earlier process left in dir, in
// order. A line that was cut off is left out.
func readBatches(dir string) ([]*batch, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*batch
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".pulls")
		n, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil || n <= 0 {
			continue
		}
		b := &batch{n: n, path: batchPath(dir, n), sums: map[key]sum{}}
		f, err := os.Open(b.path)
		if err != nil {
			return nil, err
		}
		r := bufio.NewReader(f)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				break // its end, or torn
			}
			p := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(p) != lineFields {
				continue
			}
			b.sum(key{p[0], p[1], p[2], Source{p[3], p[4], p[5]}}, p[6] == "1")
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *batch) int { return int(a.n - b.n) })
	return out, nil
}

// rows are the sums of releases. Manifests that are none (signatures, say) are
// not counted.
func (b *batch) rows(version func(repo, digest string) (string, bool, error)) ([]store.Count, error) {
	var rows []store.Count
	for k, s := range b.sums {
		v, ok, err := version(k.repo, k.digest)
		if err != nil {
			return nil, err
		}
		if ok {
			rows = append(rows, store.Count{
				Repo: k.repo, Day: k.day, Version: v, Kind: k.Kind, Client: k.Client, Platform: k.Platform, Count: s.count, Raw: s.raw,
			})
		}
	}
	return rows, nil
}
