// Package resolve chooses versions: given what a project requires and what
// exists, it finds one version of every package needed, or says in plain
// sentences why there is none. It also holds the lock file, and what can be
// told from it alone.
//
// It is pure: no network, no files, no clock. What exists comes from a Source;
// client and server run the same code on different ones.
//
// The rules:
//
//   - One version of a package in a graph, the highest that fits. The project's
//     own requirements choose first.
//   - Versions in the lock file stay where they can. A yanked version counts
//     only where it is locked, a prerelease only where a range asks for it or
//     the request does.
//   - What several packages ask of one package's traits adds up. Two different
//     values of one trait exclude each other. A trait that nobody asks for has
//     its default, and the solver never changes one by itself.
//   - A requirement with a condition on the platform counts for every platform
//     that is resolved for, and the condition stays with it. One with a
//     condition on traits counts where they say so. An optional one counts
//     where the trait named like the package is true.
//   - conflicts rules out ranges of other packages; two packages that provide
//     one link name exclude each other.
//
// docs/resolving.md says the same to users, with examples.
package resolve
