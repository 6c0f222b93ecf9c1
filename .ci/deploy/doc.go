// Package deploy checks what is in deploy/ with the parsers of those who read
// it: Kubernetes and kustomize, Compose, BuildKit, Prometheus, systemd.
package deploy
