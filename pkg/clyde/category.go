package clyde

import "slices"

// MaxCategories is how many categories a package may name. Ours, as crates.io
// has it: more would say nothing.
const MaxCategories = 5

var categories = []string{
	"algorithms", "ai", "archives", "audio", "bindings", "build-tools", "command-line", "compression", "concurrency",
	"configuration", "containers", "cryptography", "data-structures", "databases", "date-and-time", "debugging",
	"embedded", "encoding", "filesystem", "finance", "fonts", "formatting", "game-development", "geospatial",
	"graphics", "gui", "hardware", "images", "internationalization", "interprocess", "logging", "mathematics",
	"memory", "messaging", "metaprogramming", "networking", "numerics", "operating-systems", "parsing",
	"physics", "profiling", "reflection", "regular-expressions", "robotics", "scientific", "scripting", "security", "serialization",
	"simulation", "strings", "terminal", "testing", "text", "video", "virtualization", "web",
}

// Categories returns the closed list of categories, sorted. It is the caller's.
func Categories() []string {
	c := slices.Clone(categories)
	slices.Sort(c)
	return c
}
