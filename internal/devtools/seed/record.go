package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// maxLine bounds one line of the data file, in bytes. Ours: the longest line of
// 3,658 real packages has 9,300.
const maxLine = 1 << 20

// record is one package of a data file: a JSON object a line. Only the name is
// needed.
type record struct {
	Name         string   `json:"name"`
	Aliases      []string `json:"aliases"`
	Scope        string   `json:"scope"` // namespace; empty: the one of packages that nobody owns
	Version      string   `json:"version"`
	Versions     []string `json:"versions"` // in the file's order, Version among them
	Description  string   `json:"description"`
	Keywords     []string `json:"keywords"`
	License      string   `json:"license"`
	Homepage     string   `json:"homepage"`
	Platforms    []string `json:"platforms"`
	Type         string   `json:"type"`
	Language     string   `json:"language"` // C or C++
	Dependencies []string `json:"dependencies"`
	Headers      []string `json:"headers"` // as they are included: "fmt/core.h"
	Readme       string   `json:"readme"`  // Markdown; empty: one is made of the rest
}

// readRecords reads a data file.
func readRecords(r io.Reader) ([]record, error) {
	var out []record
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var rec record
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if rec.Name == "" {
			return nil, fmt.Errorf("line %d: no name", n)
		}
		out = append(out, rec)
	}
	return out, lines.Err()
}
