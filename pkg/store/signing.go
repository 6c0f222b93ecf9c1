package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// SigningPolicy is whose signatures the packages of a namespace must carry: our
// own.
type SigningPolicy struct {
	Namespace string
	Policy    string // YAML, byte for byte; "" asks for nothing
	// LogNames: names of private packages may be put into public logs.
	LogNames bool
	By       string
	At       time.Time // zero: never set
}

// Held is a package that came to a namespace which asks for signatures: our
// own.
type Held struct {
	Repo, Digest, VersionKey string
	Since                    time.Time
	Released                 time.Time // when everybody may see it; zero: not yet
}

// StatePending is Release.State of a version that waits for signatures.
const StatePending = "pending"

// Standing is what follows from the signatures of a release: derived.
type Standing struct {
	// Evidence is a hash of all that it follows from; another one means that it
	// is to be found out again.
	Evidence string
	JSON     []byte // of policy.Standing; empty: nobody has looked
}

// SignedList is what an organisation says of packages, signed by it, for a
// namespace that it owns: our own.
type SignedList struct {
	Namespace string
	Version   int64  // of the document, or of the one that was taken away
	Document  []byte // byte for byte as it was signed; empty: taken away
	Signature []byte
	By        string
	At        time.Time
}

// SigningPolicy returns what a namespace asks for, zero but for Namespace where
// it never said.
func (db *DB) SigningPolicy(ctx context.Context, namespace string) (p SigningPolicy, err error) {
	defer clyde.Wrap(&err, "store.SigningPolicy(%s)", namespace)
	var at, names int64
	err = db.row(ctx, "SigningPolicy", namespace).Scan(&p.Namespace, &p.Policy, &names, &p.By, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return SigningPolicy{Namespace: namespace}, nil
	}
	p.LogNames, p.At = names != 0, fromMS(at)
	return p, err
}

// SetSigningPolicy stores what a namespace asks for, with an audit line.
func (db *DB) SetSigningPolicy(ctx context.Context, p SigningPolicy, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetSigningPolicy(%s)", p.Namespace)
	names := 0
	if p.LogNames {
		names = 1
	}
	return db.audited(ctx, audit, func(tx *tx) error {
		return tx.exec("SetSigningPolicy", p.Namespace, p.Policy, names, p.By, ms(db.or(p.At)))
	})
}

// PolicyNamespaces lists the namespaces that ask for signatures.
func (db *DB) PolicyNamespaces(ctx context.Context) ([]string, error) {
	return list(ctx, db, scanString, "PolicyNamespaces")
}

func scanHeld(s scanner) (h Held, err error) {
	var since, released int64
	err = s.Scan(&h.Repo, &h.Digest, &h.VersionKey, &since, &released)
	h.Since, h.Released = fromMS(since), fromMS(released)
	return h, err
}

// Held returns what is known of a manifest that waits or waited, or
// clyde.ErrNotFound of one that never did.
func (db *DB) Held(ctx context.Context, repo, digest string) (Held, error) {
	return one(db.row(ctx, "Held", repo, digest), scanHeld, "%s of %s waits for nothing", digest, packageName(repo))
}

// AnyWaits reports whether anything of a repository waits for signatures.
func (db *DB) AnyWaits(ctx context.Context, repo string) (bool, error) {
	return db.held.has(ctx, db, repo)
}

// Waits returns what waits of a manifest: that itself, or what it refers to;
// nil when nothing does. It costs a query only where something of the
// repository waits.
func (db *DB) Waits(ctx context.Context, repo, digest string) (_ *Held, err error) {
	defer clyde.Wrap(&err, "store.Waits(%s, %s)", repo, digest)
	if ok, err := db.held.has(ctx, db, repo); err != nil || !ok {
		return nil, err
	}
	h, err := scanHeld(db.row(ctx, "Waits", repo, digest))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &h, nil
}

// BlobWaits is Waits of a blob: it is nil when a manifest that does not wait
// names the blob, or none does.
func (db *DB) BlobWaits(ctx context.Context, repo, digest string) (*Held, error) {
	if ok, err := db.held.has(ctx, db, repo); err != nil || !ok {
		return nil, err
	}
	h, err := db.Waits(ctx, repo, digest) // manifests can be had as blobs
	if err != nil || h != nil {
		return h, err
	}
	return ofBlob(ctx, db, repo, digest, db.Waits)
}

// Standing returns what follows from the signatures of a release, zero where
// nobody has looked.
func (db *DB) Standing(ctx context.Context, repo, key string) (s Standing, err error) {
	defer clyde.Wrap(&err, "store.Standing(%s, %s)", repo, key)
	err = db.row(ctx, "Standing", repo, key).Scan(&s.Evidence, (*text)(&s.JSON))
	if errors.Is(err, sql.ErrNoRows) {
		return Standing{}, nil
	}
	return s, err
}

// SignedList returns a namespace's list, or clyde.ErrNotFound where there never
// was one.
func (db *DB) SignedList(ctx context.Context, namespace string) (SignedList, error) {
	return one(db.row(ctx, "SignedList", namespace), func(s scanner) (l SignedList, err error) {
		var at int64
		err = s.Scan(&l.Namespace, &l.Version, &l.Document, &l.Signature, &l.By, &at)
		l.At = fromMS(at)
		return l, err
	}, "@%s has published no list", namespace)
}

// SetSignedList replaces a namespace's list by one of a higher version, or, with
// same, of the same, and writes an audit line. One that is there and newer is a
// clyde.ErrConflict. Without a Document the list is taken away, and its version
// remembered.
func (db *DB) SetSignedList(ctx context.Context, l SignedList, same bool, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetSignedList(%s)", l.Namespace)
	if l.Document == nil {
		l.Document, l.Signature = []byte{}, []byte{}
	}
	may := 0
	if same {
		may = 1
	}
	return db.audited(ctx, audit, func(tx *tx) error {
		newer := clyde.Errorf(clyde.ErrConflict, "@%s has published a newer list", l.Namespace).WithCode("list_older")
		return mustAffect(tx, newer, "SetSignedList", l.Namespace, l.Version, l.Document, l.Signature, l.By, ms(db.or(l.At)), may)
	})
}
