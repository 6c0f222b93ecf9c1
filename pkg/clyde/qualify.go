package clyde

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// requirementKeys are the keys of package.yaml whose keys are names of packages.
var requirementKeys = []string{"requires", "dev_requires", "build_requires", "conflicts"}

// Unqualified lists the names in requirements and conflicts that have no
// namespace, which publishing refuses: sorted, each once.
func (m *Manifest) Unqualified() []string {
	var names []string
	for _, list := range [][]Requirement{m.Requires, m.DevRequires, m.BuildRequires, m.Conflicts} {
		for _, r := range list {
			if CheckBase(r.Name) == nil {
				names = append(names, r.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Qualify writes names out in the requirements and conflicts of a package.yaml:
// what names maps from, as it stands there, becomes what it maps to. Every
// other byte stays. The error is of kind ErrInvalid where data cannot be read,
// or where the result would not be a package.yaml, such as when a name is there
// in both spellings.
func Qualify(data []byte, names map[string]Name) ([]byte, error) {
	if _, problems := ParseManifest(data); problems.Err("package.yaml") != nil {
		return nil, problems.Err("package.yaml")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) != 1 {
		return nil, Errorf(ErrInvalid, "package.yaml cannot be read").Because(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, key := range slices.Backward(requirementNodes(doc.Content[0])) {
		name, ok := names[key.Value]
		if !ok {
			continue
		}
		// From the end, so that places earlier in a line stay where they are.
		line := lines[key.Line-1]
		from := runeOffset(line, key.Column-1)
		if key.Line == 1 {
			from = runeOffset(line, key.Column-1+utf8.RuneCount(bomOf(line)))
		}
		written := key.Value
		if key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
			quote := line[from : from+1]
			written = string(quote) + key.Value + string(quote)
		}
		if !bytes.HasPrefix(line[from:], []byte(written)) {
			return nil, Errorf(ErrInvalid, "line %d: %s is written in a way that cannot be changed by itself: write \"%s\" there", key.Line, quoted(key.Value), name)
		}
		lines[key.Line-1] = slices.Concat(line[:from], []byte(`"`+name.String()+`"`), line[from+len(written):])
	}
	out := bytes.Join(lines, nil)
	if _, problems := ParseManifest(out); problems.Err("package.yaml") != nil {
		return nil, problems.Err("package.yaml")
	}
	return out, nil
}

// requirementNodes are the keys of every list of requirements, in the order of
// the document.
func requirementNodes(root *yaml.Node) []*yaml.Node {
	var keys []*yaml.Node
	for i := 0; i+1 < len(root.Content); i += 2 {
		list := root.Content[i+1]
		if !slices.Contains(requirementKeys, root.Content[i].Value) || list.Kind != yaml.MappingNode {
			continue
		}
		for j := 0; j < len(list.Content); j += 2 {
			keys = append(keys, list.Content[j])
		}
	}
	return keys
}

const bom = "\ufeff"

// bomOf returns the byte order mark that line begins with, which YAML does not
// count as a column.
func bomOf(line []byte) []byte {
	if bytes.HasPrefix(line, []byte(bom)) {
		return []byte(bom)
	}
	return nil
}

// runeOffset is where rune n of line begins, in bytes.
func runeOffset(line []byte, n int) int {
	at := 0
	for range n {
		_, size := utf8.DecodeRune(line[at:])
		at += size
	}
	return min(at, len(line))
}
