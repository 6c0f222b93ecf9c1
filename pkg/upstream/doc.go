// Package upstream reads registries that others run: which of their
// repositories are packages of ours, at what pace they may be asked, and what
// everybody may read of them as against what only our credentials can.
//
// It never writes to them, and it never decides that something is gone: it says
// what was answered.
package upstream
