package clyde

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// SetRequirement returns a package.yaml with a requirement in one of its lists
// (requires, dev_requires, build_requires), in place of an earlier one of that
// name: comments, order and everything else stay as they are. In a list that is
// sorted it goes to its place, else to the end. Of a requirement that is there
// as a mapping, the version alone changes, unless r has traits.
//
// An ErrInvalid error says that data has errors, or is written in a way that
// cannot be changed without touching more; its fix is the line to write by hand.
func SetRequirement(data []byte, list string, r Requirement) ([]byte, error) {
	e, err := newEditor(data, list)
	if err != nil {
		return nil, err
	}
	key, value := strconv.Quote(r.Name), requirementText(r)
	byHand := Errorf(ErrInvalid, "%s cannot be added to %s without changing more of package.yaml", r.Name, list).WithCode("manifest_edit").
		Fix("write %s: %s under %s by hand", key, value, list)
	var out []byte
	switch {
	case e.list == nil:
		out = e.append(list, key+": "+value)
	case e.entry(r.Name) != nil:
		out = e.replace(e.entry(r.Name), r, value)
	case e.list.Style&yaml.FlowStyle != 0 && len(e.list.Content) > 0:
		out = e.insertFlow(key + ": " + value)
	default:
		out = e.insertBlock(r.Name, key+": "+value)
	}
	after, problems := ParseManifest(out)
	if out == nil || len(problems.Errors()) > 0 || !e.unchanged(after, r.Name) {
		return nil, byHand
	}
	set := *after.requirements(list)
	i := slices.IndexFunc(set, func(q Requirement) bool { return q.Name == r.Name })
	if i < 0 || !set[i].Range.Equal(r.Range) {
		return nil, byHand
	}
	return out, nil
}

// RemoveRequirement returns a package.yaml without a requirement; its own
// comment goes with it, and everything else stays. An ErrNotFound error says that the list
// does not have it.
func RemoveRequirement(data []byte, list, name string) ([]byte, error) {
	e, err := newEditor(data, list)
	if err != nil {
		return nil, err
	}
	if e.list == nil || e.entry(name) == nil {
		return nil, Errorf(ErrNotFound, "%s does not have %s", list, name).WithCode("requirement_unknown")
	}
	out := e.remove(name)
	after, problems := ParseManifest(out)
	if out == nil || len(problems.Errors()) > 0 || !e.unchanged(after, name) || slices.ContainsFunc(*after.requirements(list), func(q Requirement) bool { return q.Name == name }) {
		return nil, Errorf(ErrInvalid, "%s cannot be taken out of %s without changing more of package.yaml", name, list).WithCode("manifest_edit").Fix("take it out by hand")
	}
	return out, nil
}

// requirements returns one of the lists of requirements.
func (m *Manifest) requirements(list string) *[]Requirement {
	switch list {
	case "dev_requires":
		return &m.DevRequires
	case "build_requires":
		return &m.BuildRequires
	}
	return &m.Requires
}

// requirementText is a requirement's value as it is written.
func requirementText(r Requirement) string {
	version := r.Range.String()
	if version == "" {
		version = "*"
	}
	if len(r.Traits) == 0 {
		return strconv.Quote(version)
	}
	var traits []string
	for k, v := range r.Traits {
		traits = append(traits, k+": "+strconv.Quote(v))
	}
	slices.Sort(traits)
	return "{version: " + strconv.Quote(version) + ", traits: {" + strings.Join(traits, ", ") + "}}"
}

// editor changes the text of a package.yaml at the places of its nodes.
type editor struct {
	data   []byte
	lines  []int // offsets of the lines' beginnings
	end    string
	before *Manifest
	name   string
	key    *yaml.Node // of the list; nil where it is missing
	list   *yaml.Node // nil where it is missing
}

func newEditor(data []byte, list string) (*editor, error) {
	m, problems := ParseManifest(data)
	if err := problems.Err("package.yaml"); err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode || doc.Content[0].Style&yaml.FlowStyle != 0 {
		return nil, Errorf(ErrInvalid, "package.yaml is written on one line, which no program changes well").WithCode("manifest_edit").Fix("change %s by hand", list)
	}
	e := &editor{data: data, lines: []int{0}, end: "\n", before: m, name: list}
	if bytes.Contains(data, []byte("\r\n")) {
		e.end = "\r\n"
	}
	for i, c := range data {
		if c == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == list {
			e.key, e.list = root.Content[i], root.Content[i+1]
		}
	}
	return e, nil
}

// unchanged reports whether after is the manifest from before but for one
// requirement.
func (e *editor) unchanged(after *Manifest, name string) bool {
	text := func(m Manifest) string {
		list := m.requirements(e.name)
		*list = slices.DeleteFunc(slices.Clone(*list), func(q Requirement) bool { return q.Name == name })
		b, err := json.Marshal(m.View())
		if err != nil {
			return ""
		}
		return string(b)
	}
	b := text(*e.before)
	return b != "" && b == text(*after)
}

// entry returns the key and the value of a requirement, or nil.
func (e *editor) entry(name string) []*yaml.Node {
	for i := 0; i+1 < len(e.list.Content); i += 2 {
		if e.list.Content[i].Value == name {
			return e.list.Content[i : i+2]
		}
	}
	return nil
}

// at is the offset of a node's first byte. Columns count characters.
func (e *editor) at(n *yaml.Node) int {
	i := e.lines[n.Line-1]
	for range n.Column - 1 {
		i++
		for i < len(e.data) && e.data[i]&0xC0 == 0x80 {
			i++
		}
	}
	return min(i, len(e.data))
}

// lastLine is the number of the last line of a node, from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// lineEnd is the offset after a line and its end.
func (e *editor) lineEnd(line int) int {
	if line < len(e.lines) {
		return e.lines[line]
	}
	return len(e.data)
}

// splice puts text in place of a range of bytes.
func (e *editor) splice(from, to int, text string) []byte {
	return slices.Concat(e.data[:from], []byte(text), e.data[to:])
}

// addLine puts a line after a line.
func (e *editor) addLine(after int, text string) []byte {
	at := e.lineEnd(after)
	if at > 0 && e.data[at-1] != '\n' {
		text = e.end + text
	}
	return e.splice(at, at, text+e.end)
}

// append adds a list that is missing.
func (e *editor) append(list, entry string) []byte {
	return e.addLine(len(e.lines), list+":"+e.end+"  "+entry)
}

// insertBlock adds an entry to a list of one entry a line, or to an empty one.
func (e *editor) insertBlock(name, entry string) []byte {
	if len(e.list.Content) == 0 { // {} or nothing
		out := e
		if e.list.Style&yaml.FlowStyle != 0 {
			from, to := e.at(e.list), e.close(e.at(e.list))
			if to < 0 {
				return nil
			}
			for from > 0 && e.data[from-1] == ' ' {
				from--
			}
			out = &editor{data: e.splice(from, to, ""), end: e.end}
			out.lines = []int{0}
			for i, c := range out.data {
				if c == '\n' {
					out.lines = append(out.lines, i+1)
				}
			}
		}
		return out.addLine(e.key.Line, strings.Repeat(" ", e.key.Column+1)+entry)
	}
	var keys []string
	for i := 0; i < len(e.list.Content); i += 2 {
		keys = append(keys, e.list.Content[i].Value)
	}
	place := len(keys)
	if slices.IsSorted(keys) {
		place, _ = slices.BinarySearch(keys, name)
	}
	after := e.key.Line
	if place > 0 {
		after = lastLine(e.list.Content[2*place-1])
	}
	return e.addLine(after, strings.Repeat(" ", e.list.Content[0].Column-1)+entry)
}

// insertFlow adds an entry to a list in braces.
func (e *editor) insertFlow(entry string) []byte {
	to := e.close(e.at(e.list))
	if to < 0 {
		return nil
	}
	at := to - 1
	for strings.ContainsRune(" \t\r\n", rune(e.data[at-1])) {
		at--
	}
	if e.data[at-1] == ',' {
		return e.splice(at, at, " "+entry)
	}
	return e.splice(at, at, ", "+entry)
}

// replace changes the value of an entry.
func (e *editor) replace(entry []*yaml.Node, r Requirement, value string) []byte {
	v := entry[1]
	if v.Kind == yaml.MappingNode && len(r.Traits) == 0 {
		for i := 0; i+1 < len(v.Content); i += 2 {
			if v.Content[i].Value == "version" {
				v, value = v.Content[i+1], strconv.Quote(r.Range.String())
				break
			}
		}
	}
	from, to := e.extent(v)
	if to < 0 {
		return nil
	}
	return e.splice(from, to, value)
}

// remove takes an entry out.
func (e *editor) remove(name string) []byte {
	entry := e.entry(name)
	if e.list.Style&yaml.FlowStyle != 0 {
		from := e.at(entry[0])
		_, to := e.extent(entry[1])
		if to < 0 {
			return nil
		}
		switch rest := bytes.TrimLeft(e.data[to:], " \t\r\n"); {
		case len(rest) > 0 && rest[0] == ',':
			to = len(e.data) - len(bytes.TrimLeft(rest[1:], " \t\r\n"))
		default:
			for from > 0 && strings.ContainsRune(" \t\r\n", rune(e.data[from-1])) {
				from--
			}
			if from > 0 && e.data[from-1] == ',' {
				from--
			}
		}
		return e.splice(from, to, "")
	}
	from, to := e.lines[entry[0].Line-1], e.lineEnd(lastLine(entry[1]))
	if len(e.list.Content) > 2 {
		return e.splice(from, to, "")
	}
	// A list without entries is nothing, which YAML does not take for a list.
	out := e.splice(from, to, "")
	colon := bytes.IndexByte(e.data[e.at(e.key):], ':') + e.at(e.key) + 1
	return slices.Concat(out[:colon], []byte(" {}"), out[colon:])
}

// extent is where the text of a value begins and ends; an end of -1 says that it
// is of a kind that is not changed.
func (e *editor) extent(n *yaml.Node) (from, to int) {
	from = e.at(n)
	switch {
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return from, e.close(from)
	case n.Kind != yaml.ScalarNode:
		return from, -1
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return from, e.quoted(from)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return from, -1
	}
	if !bytes.HasPrefix(e.data[from:], []byte(n.Value)) {
		return from, -1 // on several lines
	}
	return from, from + len(n.Value)
}

// quoted is the offset after the quoted text that begins at from, or -1.
func (e *editor) quoted(from int) int {
	q := e.data[from]
	for i := from + 1; i < len(e.data); i++ {
		switch {
		case e.data[i] == '\\' && q == '"':
			i++
		case e.data[i] == q && q == '\'' && i+1 < len(e.data) && e.data[i+1] == q:
			i++
		case e.data[i] == q:
			return i + 1
		}
	}
	return -1
}

// close is the offset after the brace that closes the one at from, or -1.
func (e *editor) close(from int) int {
	depth := 0
	for i := from; i < len(e.data); i++ {
		switch c := e.data[i]; {
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case (c == '"' || c == '\'') && strings.ContainsRune(" \t\r\n{[,:", rune(e.data[i-1])):
			end := e.quoted(i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case c == '#' && strings.ContainsRune(" \t\n", rune(e.data[i-1])):
			return -1 // a comment within, which may hold braces
		}
	}
	return -1
}
