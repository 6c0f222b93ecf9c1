// Package install puts the packages of a lock file where compilers find them:
// it fetches them by digest, builds from source what has to be built, keeps
// both in a store that all projects of a user share, and copies what a project
// needs into its deps folder.
//
// Nothing of a package runs while it is fetched or unpacked. Building runs what
// the package says, in a scratch folder, with an environment that holds none of
// the user's secrets, bounded in time and output; Options.NoBuild forbids it.
//
// What the store holds is believed only under its final name, which it gets by
// a rename once it is complete; every byte is checked against its digest again
// when it is copied into a project.
package install
