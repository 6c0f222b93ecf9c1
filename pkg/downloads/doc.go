// Package downloads counts pulls in classes, and remembers nothing about
// whoever pulled. docs/downloads.md says what is counted.
package downloads
