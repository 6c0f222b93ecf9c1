package notify

import (
	"net/http"
	"strings"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// githubPackage is the same object under both of GitHub's names for it.
type githubPackage struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	PackageType string `json:"package_type"`
	Ecosystem   string `json:"ecosystem"`
	Version     *struct {
		Version   string `json:"version"`
		Container *struct {
			Tag struct {
				Name string `json:"name"`
			} `json:"tag"`
		} `json:"container_metadata"`
		PackageURL string `json:"package_url"`
	} `json:"package_version"`
}

// github reads the events package and registry_package: one for each manifest.
// The digest under container_metadata.tag is none in GitHub's own sample; the
// version's name is. package_url may end in a colon.
func github(h http.Header, body []byte) (Delivery, error) {
	var e struct {
		Action   string         `json:"action"`
		Package  *githubPackage `json:"package"`
		Registry *githubPackage `json:"registry_package"`
		Sender   struct {
			Login string `json:"login"`
		} `json:"sender"`
		Zen string `json:"zen"` // of a ping
	}
	if err := decode("GitHub", body, &e); err != nil {
		return Delivery{}, err
	}
	d := Delivery{ID: h.Get("X-Github-Delivery")}
	p := e.Package
	if p == nil {
		p = e.Registry
	}
	if p == nil {
		if e.Zen != "" || h.Get("X-Github-Event") == "ping" {
			return d, nil
		}
		return Delivery{}, bad("the notification is no package event of GitHub: it has neither package nor registry_package")
	}
	if e.Action != "published" && e.Action != "updated" || p.Version == nil {
		return d, nil
	}
	n := Note{Action: clyde.ActionPush, Digest: p.Version.Version, Actor: e.Sender.Login}
	if p.Version.Container != nil {
		n.Tag = p.Version.Container.Tag.Name
	}
	if _, path, ok := strings.Cut(p.Version.PackageURL, "/"); ok {
		path, _, _ = strings.Cut(path, "@")
		n.Repository, _ = lastColon(path)
	} else {
		owner, _, _ := strings.Cut(p.Namespace, "/")
		n.Repository = owner + "/" + p.Name
	}
	d.Notes = []Note{n}
	return d, nil
}
