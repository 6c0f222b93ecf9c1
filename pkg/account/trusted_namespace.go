package account

import "context"

// PublishersIn lists the trusted publishers of every package of a namespace, of
// those that do not exist yet, too, by package; for who manages all of it.
func (t *Trusted) PublishersIn(ctx context.Context, by Principal, namespace string) ([]Publisher, error) {
	if err := Authorize(by, Manage, Resource{Repo: namespace + "/*"}); err != nil {
		return nil, err
	}
	rows, err := t.o.DB.PublishersIn(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return publishersOf(rows)
}
