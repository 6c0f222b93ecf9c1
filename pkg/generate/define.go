package generate

import (
	"regexp"
	"strings"
)

// plainDefinition is a definition that means the same in a shell, a makefile
// and a .pc file, quoted or not.
var plainDefinition = regexp.MustCompile(`^[A-Za-z0-9_=.,:+/-]*$`)

// headerFile is, under deps, the header with the definitions of a component
// that are not plain. pkg-config cannot print "$" and parentheses so that a
// shell or make would leave them alone, and flags are often pasted into
// makefiles: there a value "$(command)" would be run. CMake drops definitions
// with "#".
func (n *node) headerFile() string { return "include/clyde/" + n.id + ".h" }

// defines splits the definitions of n into those for the command line and
// whether there are others, which stand in its header.
func (n *node) defines() (plain []string, header bool) {
	for _, d := range n.Definitions {
		if plainDefinition.MatchString(d) {
			plain = append(plain, "-D"+d)
		} else {
			header = true
		}
	}
	return plain, header
}

// addHeaders writes the headers of definitions that are not plain. An empty line
// follows each, in case it ends with a backslash.
func addHeaders(g *graph, files map[string]string) {
	for _, k := range g.packs {
		for _, n := range k.libraries() {
			if _, header := n.defines(); !header {
				continue
			}
			var b strings.Builder
			b.WriteString("/* Written by clyde install; it is overwritten by the next. */\n")
			for _, d := range n.Definitions {
				if !plainDefinition.MatchString(d) {
					name, value, has := strings.Cut(d, "=")
					if !has {
						value = "1"
					}
					b.WriteString("#define " + name + " " + value + "\n\n")
				}
			}
			files[n.headerFile()] = b.String()
		}
	}
}
