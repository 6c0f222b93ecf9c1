package resolve

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// Failure says why a request cannot be met. It is the cause of the error that
// Solve returns; errors.As finds it.
type Failure struct {
	Lines    []string     `json:"lines"`    // the proof, a sentence each, numbered from 1 by their references to each other
	Packages []clyde.Name `json:"packages"` // named in the proof: with no other package the request could not be met either
	Fixes    []Fix        `json:"fixes"`    // tried: with any one of them alone the request can be met
}

func (f *Failure) Error() string { return strings.Join(f.Lines, "\n") }

// node is a step of the proof without the steps that say nothing to a person.
type node struct {
	c      *incompat
	terms  []term
	causes []*node // none: a fact
	refs   int
	line   int // 0 until written
}

type explainer struct {
	s     *solver
	nodes map[*incompat]*node
	lines []string
}

// unsatisfiable turns the rule that nothing can be into an error for people.
func (s *solver) unsatisfiable(c *incompat) *clyde.Error {
	e := &explainer{s: s, nodes: map[*incompat]*node{}}
	n := e.node(c)
	if len(n.causes) == 0 {
		n = &node{c: c, causes: []*node{n}}
	}
	e.count(n)
	e.visit(n)
	f := &Failure{Lines: e.lines, Packages: s.named(c)}
	var b strings.Builder
	fmt.Fprintf(&b, "the requirements of %s cannot be met:", s.project())
	for i, l := range f.Lines {
		fmt.Fprintf(&b, "\n%3d. %s", i+1, l)
	}
	return (&clyde.Error{Kind: clyde.ErrConflict, Msg: b.String()}).WithCode("unsatisfiable").Because(f)
}

// named lists the packages in the facts of a proof, by name.
func (s *solver) named(c *incompat) []clyde.Name {
	var names []clyde.Name
	leaves(c, func(l *incompat) {
		for _, t := range l.terms {
			if v := s.vars[t.v]; t.v != 0 && (v.trait == "" || v.owner != 0) {
				names = append(names, v.name)
			}
		}
	})
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}

func (s *solver) project() string {
	if s.req.Name.IsZero() {
		return "this project"
	}
	return s.req.Name.String()
}

func silent(c *incompat) bool {
	return c.a == nil && (c.cause.kind == isRoot || c.cause.kind == hasTrait)
}

// node builds the proof of c. Where one of two causes says nothing, the step is
// its other cause with another conclusion.
func (e *explainer) node(c *incompat) *node {
	if n, ok := e.nodes[c]; ok {
		return n
	}
	n := &node{c: c, terms: c.terms}
	if c.a != nil {
		for _, x := range []*incompat{c.a, c.b} {
			if !silent(x) {
				n.causes = append(n.causes, e.node(x))
			}
		}
		if len(n.causes) == 1 && len(n.causes[0].causes) > 0 {
			n.causes = n.causes[0].causes
		}
	}
	e.nodes[c] = n
	return n
}

func (e *explainer) count(n *node) {
	n.refs++
	if n.refs > 1 {
		return
	}
	for _, c := range n.causes {
		e.count(c)
	}
}

// visit writes the proof of n, n itself last.
func (e *explainer) visit(n *node) {
	if n.line > 0 {
		return
	}
	if len(n.causes) == 1 { // always a fact
		e.write(n, "because "+e.say(n.causes[0]))
		return
	}
	a, b := n.causes[0], n.causes[1]
	if len(a.causes) == 0 {
		a, b = b, a // a fact comes second
	}
	switch {
	case len(a.causes) == 0: // two facts
		e.write(n, "because "+both(e.say(b), e.say(a), e.s.project()))
	case len(b.causes) == 0 && a.line > 0:
		e.write(n, "because "+e.cite(a)+" and "+e.say(b))
	case len(b.causes) == 0:
		if inner, fact := chain(a); inner != nil && a.refs == 1 {
			e.visit(inner)
			e.write(n, e.further(inner)+both(e.say(fact), e.say(b), e.s.project()))
			return
		}
		e.visit(a)
		e.write(n, e.further(a)+e.say(b))
	case a.line > 0 && b.line > 0:
		e.write(n, "because "+e.cite(a)+" and "+e.cite(b))
	default:
		if a.line > 0 || b.line == 0 && len(b.causes) > 0 && isShort(a) {
			a, b = b, a
		}
		// The longer proof first, so that the shorter stands right before n.
		e.visit(a)
		e.visit(b)
		e.write(n, "because "+e.cite(a)+" and "+e.cite(b))
	}
}

// chain splits a step into the one derived cause and the fact that it has.
func chain(n *node) (inner, fact *node) {
	if len(n.causes) != 2 {
		return nil, nil
	}
	a, b := n.causes[0], n.causes[1]
	switch {
	case len(a.causes) > 0 && len(b.causes) == 0:
		return a, b
	case len(b.causes) > 0 && len(a.causes) == 0:
		return b, a
	}
	return nil, nil
}

func isShort(n *node) bool {
	return !slices.ContainsFunc(n.causes, func(c *node) bool { return len(c.causes) > 0 })
}

// further goes on from the line before, or from another that it names.
func (e *explainer) further(n *node) string {
	if n.line == len(e.lines) {
		return "and because "
	}
	return fmt.Sprintf("because of line %d and because ", n.line)
}

// both joins two facts, naming their subject once where that is the project.
func both(a, b, project string) string {
	verb := project + " requires "
	if strings.HasPrefix(a, verb) && strings.HasPrefix(b, verb) && !strings.Contains(a+b, ",") {
		return a + " and " + strings.TrimPrefix(b, verb)
	}
	return a + " and " + b
}

// cannot says of versions what none of them can.
func cannot(subject, no, can string) string {
	if rest, ok := strings.CutPrefix(subject, "every version of "); ok && !strings.Contains(rest, " and ") {
		return "no version of " + rest + can
	}
	return subject + no
}

func (e *explainer) cite(n *node) string { return fmt.Sprintf("%s (line %d)", e.say(n), n.line) }

func (e *explainer) write(n *node, reasons string) {
	e.lines = append(e.lines, capital(reasons)+", "+e.s.conclusion(n.terms)+".")
	n.line = len(e.lines)
}

func (e *explainer) say(n *node) string {
	if len(n.causes) == 0 {
		return e.s.fact(n.c)
	}
	return e.s.conclusion(n.terms)
}

func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// fact says a rule that was not derived.
func (s *solver) fact(c *incompat) string {
	switch k := c.cause; k.kind {
	case requires:
		return s.requirementText(c)
	case asks:
		return s.subject(c.terms[:len(c.terms)-1]) + " asks for " + k.req.Name.String() + " with " + k.trait + "=" + k.word
	case byRequest:
		who := s.vars[c.terms[0].v].name.String()
		if c.terms[0].v == 0 {
			who = s.project()
		}
		return fmt.Sprintf("you ask for %s with %s=%s", who, k.trait, k.word)
	case refuses:
		return s.refusalText(c)
	case conflicts:
		return s.subject(append([]term{c.terms[0]}, c.terms[2:]...)) + " declares a conflict with " + k.req.Name.String() + " " + k.req.Range.String()
	case provides:
		return fmt.Sprintf("%s and %s both provide the link name %s, of which a program can have one", s.subject(c.terms[:1]), s.subject(c.terms[1:]), k.word)
	case unsupported:
		return cannot(s.subject(c.terms), " does not support ", " supports ") + s.req.Platform.String()
	case unusable:
		v := s.vars[c.terms[0].v]
		i := c.terms[0].set.next(1, len(v.known.cands))
		return s.subject(c.terms) + " cannot be read: " + v.known.cands[i-1].Unusable
	case assumption:
		return fmt.Sprintf("nothing asks for another %s of %s than %q, its default", k.trait, s.subject(c.terms[:1]), k.word)
	case blocked:
		return fmt.Sprintf("the trait %s would have to differ from its default, which nothing asks for", k.trait)
	}
	return s.conclusion(c.terms)
}

func (s *solver) requirementText(c *incompat) string {
	q := c.cause.req
	last := len(c.terms) - 1
	text := s.subject(c.terms[:last]) + " requires " + q.Name.String()
	r := q.Range
	if c.cause.override {
		r = s.overrides[q.Name.Identity()]
	}
	switch {
	case q.Local != "":
		text += " from " + q.Local
	case q.Git != "":
		text += " from git"
	case r.IsAny():
	default:
		text += " " + r.String()
	}
	if c.cause.override {
		text += fmt.Sprintf(" (overridden: it asks for %s)", q.Range)
	}
	if !q.When.IsZero() && len(q.When.Traits()) == 0 {
		text += " (when " + q.When.String() + ")"
	}
	v := s.vars[c.terms[last].v]
	if v.domain.within(c.terms[last].set) {
		text += ", " + s.noMatch(v, r)
	}
	return text
}

// noMatch says why no version of v is in r.
func (s *solver) noMatch(v *variable, r clyde.Range) string {
	k := v.known
	switch {
	case k.why != "":
		return "and " + strings.TrimSuffix(k.why, ".")
	case len(k.cands) == 0:
		return "which has no versions"
	}
	var yanked, early []string
	for i := range k.cands {
		c := k.cands[i]
		switch {
		case r.Contains(c.Version) && c.Yanked != "":
			yanked = append(yanked, c.Version.String()+", yanked: "+c.Yanked)
		case !v.domain.has(i + 1):
		case nearly(r, c.Version):
			early = append(early, c.Version.String())
		}
	}
	switch {
	case len(yanked) > 0:
		return "where only yanked versions are (" + some(yanked) + ")"
	case len(early) > 0:
		return "where only prereleases are (" + some(early) + ")"
	}
	newest := v.domain.next(1, len(k.cands))
	for i := newest; i > 0; i = v.domain.next(i+1, len(k.cands)) {
		if !k.cands[i-1].Version.IsPrerelease() {
			newest = i
			break
		}
	}
	if newest < 0 {
		return "all versions of which are yanked"
	}
	return fmt.Sprintf("where there is no version (the newest is %s)", k.cands[newest-1].Version)
}

func some(list []string) string {
	const few = 3
	if len(list) > few {
		return strings.Join(list[:few], "; ") + fmt.Sprintf("; and %d more", len(list)-few)
	}
	return strings.Join(list, "; ")
}

func (s *solver) refusalText(c *incompat) string {
	v, k := s.vars[c.terms[0].v], c.cause
	i := c.terms[0].set.next(1, len(v.known.cands))
	t, ok := v.known.cands[i-1].trait(k.trait)
	switch {
	case !ok:
		return cannot(s.subject(c.terms[:1]), " has no trait ", " has a trait ") + k.trait
	case t.Type == "enum":
		return fmt.Sprintf("%s takes for its trait %s one of %s, not %s", s.subject(c.terms[:1]), k.trait, strings.Join(t.Values, ", "), k.word)
	}
	return fmt.Sprintf("%s takes for its trait %s true or false, not %s", s.subject(c.terms[:1]), k.trait, k.word)
}

// subject names packages and their traits: "@x/a 1.0.0 with tls=openssl".
func (s *solver) subject(terms []term) string {
	type part struct {
		text string
		with []string
	}
	parts := map[int]*part{}
	var order []int
	of := func(v int) *part {
		if parts[v] == nil {
			parts[v] = &part{text: s.vars[v].name.String()}
			if v == 0 {
				parts[v].text = s.project()
			}
			order = append(order, v)
		}
		return parts[v]
	}
	for _, t := range terms {
		v := s.vars[t.v]
		if v.trait == "" {
			if t.v != 0 {
				of(t.v).text = s.versionsText(v, t.set)
			} else {
				of(t.v)
			}
			continue
		}
		var values []string
		for i := t.set.next(1, len(v.values)); i > 0; i = t.set.next(i+1, len(v.values)) {
			values = append(values, v.values[i-1])
		}
		p := of(v.owner)
		if t.set.rest {
			p.with = append(p.with, v.trait+" other than "+s.valuesText(v, t.set.not()))
		} else {
			p.with = append(p.with, v.trait+"="+strings.Join(values, " or "))
		}
	}
	var texts []string
	for _, v := range order {
		p := parts[v]
		if v == 0 && len(order) > 1 && len(p.with) == 0 {
			continue // the project is always there
		}
		if len(p.with) > 0 {
			p.text += " with " + strings.Join(p.with, " and ")
		}
		texts = append(texts, p.text)
	}
	return and(texts)
}

func and(texts []string) string {
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:len(texts)-1], ", ") + " and " + texts[len(texts)-1]
}

func (s *solver) valuesText(v *variable, w set) string {
	var values []string
	for i := w.next(1, len(v.values)); i > 0; i = w.next(i+1, len(v.values)) {
		values = append(values, v.values[i-1])
	}
	return strings.Join(values, " or ")
}

// versionsText names versions of a package as runs of what exists.
func (s *solver) versionsText(v *variable, w set) string {
	n := len(v.known.cands)
	name := v.name.String()
	if v.domain.and(single(absent).not()).within(w) && v.domain.count(n) != 1 {
		return "every version of " + name
	}
	var runs []string
	for i := n; i > 0; i-- { // lowest first
		if !v.domain.has(i) || !w.has(i) {
			continue
		}
		from, to := i, i
		for j := i - 1; j > 0; j-- {
			if !v.domain.has(j) {
				continue
			}
			if !w.has(j) {
				break
			}
			to = j
		}
		lowest := v.domain.and(upTo(n).and(upTo(from).not())).next(1, n) < 0
		highest := v.domain.next(1, n) == to
		switch {
		case from == to:
			runs = append(runs, v.known.cands[from-1].Version.String())
		case lowest:
			runs = append(runs, "up to "+v.known.cands[to-1].Version.String())
		case highest:
			runs = append(runs, v.known.cands[from-1].Version.String()+" and later")
		default:
			runs = append(runs, v.known.cands[from-1].Version.String()+" to "+v.known.cands[to-1].Version.String())
		}
		i = to
	}
	const few = 3
	if len(runs) > few {
		return fmt.Sprintf("%s in %d of its versions (%s, …, %s)", name, w.and(v.domain).count(n), runs[0], runs[len(runs)-1])
	}
	return name + " " + strings.Join(runs, " or ")
}

// needed names what a negative term asks for: the range that says it, or the
// versions.
func (s *solver) needed(t term) string {
	v := s.vars[t.v]
	in := t.set.not()
	if v.trait != "" {
		return v.name.String() + " with " + v.trait + "=" + s.valuesText(v, in)
	}
	best := ""
	lists := maps.Clone(v.lists)
	for _, w := range v.about {
		put(&lists, w.req.Range.String(), w.in(v.known).and(v.domain))
	}
	for text, w := range lists {
		if w.within(in) && in.and(v.domain).within(w) && (best == "" || len(text) < len(best) || len(text) == len(best) && text < best) {
			best = text
		}
	}
	switch {
	case best == "*" || best == "" && v.domain.and(single(absent).not()).within(in):
		return v.name.String()
	case best != "":
		return v.name.String() + " " + best
	}
	return s.versionsText(v, in)
}

// conclusion says what follows from a derived rule.
func (s *solver) conclusion(terms []term) string {
	var given, need []term
	for _, t := range terms {
		if t.set.has(absent) {
			need = append(need, t)
		} else {
			given = append(given, t)
		}
	}
	var needs []string
	for _, t := range need {
		needs = append(needs, s.needed(t))
	}
	others := slices.ContainsFunc(given, func(t term) bool { return t.v != 0 })
	switch {
	case len(needs) == 0 && !others:
		return "the requirements of " + s.project() + " cannot be met"
	case len(needs) == 0 && s.isOne(given):
		return cannot(s.subject(given), " cannot be used", " can be used")
	case len(needs) == 0:
		return s.subject(given) + " cannot stand together"
	case !others:
		return s.project() + " needs " + strings.Join(needs, " or ")
	case s.isOne(given):
		return s.subject(given) + " needs " + strings.Join(needs, " or ")
	}
	return s.subject(given) + " together need " + strings.Join(needs, " or ")
}

// isOne reports whether terms are about one package besides the project.
func (s *solver) isOne(terms []term) bool {
	first := 0
	for _, t := range terms {
		at := t.v
		if s.vars[at].trait != "" {
			at = s.vars[at].owner
		}
		if at != 0 && first != 0 && at != first {
			return false
		}
		first = max(first, at)
	}
	return true
}
