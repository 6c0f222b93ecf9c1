package texmath

import "strings"

// identifiers are commands that stand for a letter or a value.
var identifiers = words(`alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν xi ξ
	omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π
	Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ wp ℘ Re ℜ Im ℑ aleph ℵ emptyset ∅ varnothing ∅ imath ı jmath ȷ
	top ⊤ bot ⊥ ldots … dots … dotsc … dotsb ⋯ cdots ⋯ vdots ⋮ ddots ⋱ prime ′ degree ° angle ∠ triangle △ square □ Box □ checkmark ✓`)

// operators are commands that stand between or before things.
var operators = words(`times × div ÷ cdot ⋅ pm ± mp ∓ ast ∗ star ⋆ circ ∘ bullet ∙ oplus ⊕ ominus ⊖ otimes ⊗ oslash ⊘ odot ⊙ wedge ∧ land ∧ vee ∨ lor ∨
	cap ∩ cup ∪ setminus ∖ neg ¬ lnot ¬ leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ lt < gt > ll ≪ gg ≫ approx ≈ equiv ≡ cong ≅ sim ∼ simeq ≃ propto ∝ prec ≺ succ ≻
	leqslant ⩽ geqslant ⩾ in ∈ notin ∉ ni ∋ subset ⊂ subseteq ⊆ supset ⊃ supseteq ⊇ forall ∀ exists ∃ nexists ∄ mid ∣ nmid ∤ parallel ∥ perp ⊥ vdash ⊢ models ⊨
	to → rightarrow → leftarrow ← gets ← leftrightarrow ↔ Rightarrow ⇒ Leftarrow ⇐ Leftrightarrow ⇔ implies ⟹ iff ⟺ mapsto ↦ longrightarrow ⟶ longleftarrow ⟵
	longmapsto ⟼ uparrow ↑ downarrow ↓ updownarrow ↕ Uparrow ⇑ Downarrow ⇓ hookrightarrow ↪ rightharpoonup ⇀ rightleftharpoons ⇌ xor ⊻ colon : coloneqq ≔
	therefore ∴ because ∵ dagger † ddagger ‡ asymp ≍ doteq ≐ bowtie ⋈ lll ⋘ ggg ⋙ ltimes ⋉ rtimes ⋊ sqcup ⊔ sqcap ⊓ uplus ⊎ triangleq ≜ % % # # & & $ $ _ _`)

// large are operators with limits. The integrals keep theirs beside them.
var large = words(`sum ∑ prod ∏ coprod ∐ bigcup ⋃ bigcap ⋂ bigoplus ⨁ bigotimes ⨂ bigvee ⋁ bigwedge ⋀ bigsqcup ⨆ int ∫ iint ∬ iiint ∭ oint ∮`)

// functions are words of their own, and whether limits go below them.
var functions = map[string]bool{
	"sin": false, "cos": false, "tan": false, "cot": false, "sec": false, "csc": false, "sinh": false, "cosh": false, "tanh": false, "coth": false,
	"arcsin": false, "arccos": false, "arctan": false, "exp": false, "log": false, "ln": false, "lg": false, "arg": false, "deg": false, "dim": false,
	"ker": false, "hom": false, "det": true, "gcd": true, "max": true, "min": true, "sup": true, "inf": true, "lim": true, "limsup": true, "liminf": true,
	"Pr": true, "argmax": true, "argmin": true,
}

// functionName is how a function is written.
func functionName(command string) string {
	switch command {
	case "limsup", "liminf", "argmax", "argmin":
		return command[:3] + "\u2009" + command[3:]
	}
	return command
}

// accents are what stands above one thing; "_" stands below it.
var accents = words(`hat ^ widehat ^ bar ¯ overline ‾ vec → overrightarrow → overleftarrow ← tilde ~ widetilde ~ dot ˙ ddot ¨ check ˇ breve ˘ acute ´ grave ` + "`" + ` underline _`)

// spaces are how wide the commands for nothing are.
var spaces = words(`, 0.17em thinspace 0.17em : 0.22em > 0.22em ; 0.28em ! -0.17em quad 1em qquad 2em enspace 0.5em`)

// sizes are those of brackets that do not fit themselves.
var sizes = words(`big 1.2em Big 1.8em bigg 2.4em Bigg 3em`)

// delimiters are brackets, as \left takes them. The dot is none.
var delimiters = map[string]string{
	"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", "/": "/", ".": "", "<": "⟨", ">": "⟩", `\{`: "{", `\}`: "}", `\|`: "‖", `\backslash`: "\\",
	`\lbrace`: "{", `\rbrace`: "}", `\lbrack`: "[", `\rbrack`: "]", `\langle`: "⟨", `\rangle`: "⟩", `\lfloor`: "⌊", `\rfloor`: "⌋", `\lceil`: "⌈", `\rceil`: "⌉",
	`\vert`: "|", `\lvert`: "|", `\rvert`: "|", `\Vert`: "‖", `\lVert`: "‖", `\rVert`: "‖", `\uparrow`: "↑", `\downarrow`: "↓",
}

// environments are tables, with what stands around them. The classes are for
// the style sheet: MathML has no attribute for how columns stand.
var environments = map[string]struct{ open, end, class string }{
	"matrix": {"", "", "math-matrix"}, "pmatrix": {"(", ")", "math-matrix"}, "bmatrix": {"[", "]", "math-matrix"}, "Bmatrix": {"{", "}", "math-matrix"},
	"vmatrix": {"|", "|", "math-matrix"}, "Vmatrix": {"‖", "‖", "math-matrix"}, "smallmatrix": {"", "", "math-matrix"}, "array": {"", "", "math-matrix"},
	"cases": {"{", "", "math-cases"}, "aligned": {"", "", "math-lines"}, "align": {"", "", "math-lines"}, "align*": {"", "", "math-lines"},
	"split": {"", "", "math-lines"}, "equation": {"", "", "math-lines"}, "equation*": {"", "", "math-lines"},
	"gathered": {"", "", "math-matrix"}, "gather": {"", "", "math-matrix"}, "gather*": {"", "", "math-matrix"},
}

// alphabets are how letters and digits look in a style: Unicode has each.
var alphabets = map[string]func(rune) string{
	"mathrm": func(r rune) string { return string(r) }, "rm": func(r rune) string { return string(r) },
	"mathbf": style(0x1d400, 0x1d7ce, nil), "boldsymbol": style(0x1d400, 0x1d7ce, nil), "bm": style(0x1d400, 0x1d7ce, nil),
	"mathbb":  style(0x1d538, 0x1d7d8, map[rune]rune{'C': 'ℂ', 'H': 'ℍ', 'N': 'ℕ', 'P': 'ℙ', 'Q': 'ℚ', 'R': 'ℝ', 'Z': 'ℤ'}),
	"mathcal": style(0x1d49c, 0, script), "mathscr": style(0x1d49c, 0, script),
	"mathfrak": style(0x1d504, 0, map[rune]rune{'C': 'ℭ', 'H': 'ℌ', 'I': 'ℑ', 'R': 'ℜ', 'Z': 'ℨ'}),
	"mathsf":   style(0x1d5a0, 0x1d7e2, nil), "mathtt": style(0x1d670, 0x1d7f6, nil), "mathit": style(0x1d434, 0, map[rune]rune{'h': 'ℎ'}),
}

var script = map[rune]rune{'B': 'ℬ', 'E': 'ℰ', 'F': 'ℱ', 'H': 'ℋ', 'I': 'ℐ', 'L': 'ℒ', 'M': 'ℳ', 'R': 'ℛ', 'e': 'ℯ', 'g': 'ℊ', 'o': 'ℴ'}

// style returns the alphabet that begins with its A and 0 (0: it has no digits
// of its own) there, but for letters that Unicode had before it.
func style(a, zero rune, before map[rune]rune) func(rune) string {
	return func(r rune) string {
		if b, ok := before[r]; ok {
			return string(b)
		}
		switch {
		case r >= 'A' && r <= 'Z':
			r += a - 'A'
		case r >= 'a' && r <= 'z':
			r += a + 26 - 'a'
		case r >= '0' && r <= '9' && zero != 0:
			r += zero - '0'
		}
		return string(r)
	}
}

// words reads pairs of a command and what it stands for.
func words(list string) map[string]string {
	f := strings.Fields(list)
	out := make(map[string]string, len(f)/2)
	for i := 0; i+1 < len(f); i += 2 {
		out[f[i]] = f[i+1]
	}
	return out
}
