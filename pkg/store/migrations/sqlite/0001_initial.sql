-- Portable SQL but for AUTOINCREMENT, BLOB, WITHOUT ROWID and the triggers,
-- which have counterparts of other names on Postgres. Times are Unix
-- milliseconds, 0 where there is none.
--
-- Migrations only ever add: the release before this one must run on the
-- schema after it.

-- +goose Up
-- +goose StatementBegin

-- Derived from the registry: DropDerived empties these.

CREATE TABLE repository (
    repo      TEXT    NOT NULL PRIMARY KEY,
    manifests BIGINT  NOT NULL
) WITHOUT ROWID;

CREATE TABLE manifest (
    repo          TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    media_type    TEXT   NOT NULL,
    artifact_type TEXT   NOT NULL,
    size_bytes    BIGINT NOT NULL,
    subject       TEXT   NOT NULL,
    pushed_ms     BIGINT NOT NULL,
    annotations   TEXT   NOT NULL, -- JSON object
    refs          TEXT   NOT NULL, -- JSON array
    PRIMARY KEY (repo, digest)
);
CREATE INDEX manifest_subject ON manifest (repo, subject, digest) WHERE subject <> '';
CREATE INDEX manifest_subject_type ON manifest (repo, subject, artifact_type, digest) WHERE subject <> '';

CREATE TABLE tag (
    repo       TEXT   NOT NULL,
    tag        TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    media_type TEXT   NOT NULL,
    size_bytes BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    PRIMARY KEY (repo, tag)
) WITHOUT ROWID;
CREATE INDEX tag_digest ON tag (repo, digest);

CREATE TABLE package (
    repo       TEXT   NOT NULL PRIMARY KEY,
    base       TEXT   NOT NULL,
    identity   TEXT   NOT NULL, -- clyde.Name.Identity
    latest     TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    versions   BIGINT NOT NULL,
    signed     TEXT   NOT NULL,
    doc        BLOB   NOT NULL
);
CREATE INDEX package_identity ON package (identity, repo);
CREATE INDEX package_base ON package (base, repo);

-- The large columns come last, so that listing a package's versions does not
-- read their overflow pages.
CREATE TABLE release (
    repo         TEXT   NOT NULL,
    version_key  TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    digest       TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    source       TEXT   NOT NULL,
    source_type  TEXT   NOT NULL,
    source_size  BIGINT NOT NULL,
    readme       TEXT   NOT NULL,
    published_ms BIGINT NOT NULL,
    publisher    TEXT   NOT NULL,
    signed       TEXT   NOT NULL,
    state        TEXT   NOT NULL, -- visible | conflict | gone
    headers      TEXT   NOT NULL, -- JSON array
    manifest     BLOB   NOT NULL,
    config_yaml  BLOB   NOT NULL,
    oci_manifest BLOB   NOT NULL,
    report       BLOB   NOT NULL,
    PRIMARY KEY (repo, version_key)
);
CREATE INDEX release_digest ON release (repo, digest);
CREATE INDEX release_published ON release (repo, published_ms, version_key);
CREATE INDEX release_state ON release (repo, state);

CREATE TABLE requirement (
    repo        TEXT    NOT NULL,
    version_key TEXT    NOT NULL,
    kind        TEXT    NOT NULL, -- requires | dev_requires | build_requires
    target      TEXT    NOT NULL,
    version     TEXT    NOT NULL,
    version_range TEXT  NOT NULL,
    optional    BOOLEAN NOT NULL,
    latest      BOOLEAN NOT NULL,
    PRIMARY KEY (repo, version_key, kind, target)
) WITHOUT ROWID;
CREATE INDEX requirement_target ON requirement (target, kind, repo) WHERE latest;

-- Totals over the derived tables, kept with them: 'packages' and 'releases'.
CREATE TABLE counter (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;

-- Our own: only a backup brings these back.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE claim (
    repo         TEXT   NOT NULL,
    version_key  TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    digest       TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    lease_ms     BIGINT NOT NULL,
    committed_ms BIGINT NOT NULL, -- 0 while only reserved
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

CREATE TABLE inbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    repo        TEXT    NOT NULL,
    tag         TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    received_ms BIGINT  NOT NULL,
    state       TEXT    NOT NULL, -- waiting | done | parked
    reason      TEXT    NOT NULL,
    attempts    BIGINT  NOT NULL,
    due_ms      BIGINT  NOT NULL, -- not to be claimed before; a lease moves it on
    updated_ms  BIGINT  NOT NULL,
    head        BOOLEAN NOT NULL  -- the one waiting event of its repository that may run
);
CREATE UNIQUE INDEX inbox_head ON inbox (repo) WHERE head;
CREATE INDEX inbox_due ON inbox (id, due_ms) WHERE head;
CREATE INDEX inbox_waiting ON inbox (repo, id) WHERE state = 'waiting';
CREATE INDEX inbox_state ON inbox (state, id);
CREATE INDEX inbox_done ON inbox (updated_ms) WHERE state = 'done';

CREATE TABLE yank (
    repo        TEXT   NOT NULL,
    version_key TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    note        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

CREATE TABLE setting (
    repo        TEXT    NOT NULL PRIMARY KEY,
    private     BOOLEAN NOT NULL,
    deprecated  TEXT    NOT NULL,
    replaced_by TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE namespace (
    name       TEXT   NOT NULL PRIMARY KEY,
    actor      TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE token (
    id           TEXT    NOT NULL PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    prefix       TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    admin        BOOLEAN NOT NULL,
    scopes       BLOB    NOT NULL,
    created_ms   BIGINT  NOT NULL,
    expires_ms   BIGINT  NOT NULL,
    last_used_ms BIGINT  NOT NULL,
    revoked_ms   BIGINT  NOT NULL
);
CREATE INDEX token_created ON token (created_ms, id);

CREATE TABLE public_key (
    namespace   TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    pem         TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    created_ms  BIGINT NOT NULL,
    revoked_ms  BIGINT NOT NULL,
    PRIMARY KEY (namespace, fingerprint)
);
CREATE INDEX public_key_created ON public_key (namespace, created_ms, fingerprint);

CREATE TABLE change (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   BIGINT  NOT NULL,
    type    TEXT    NOT NULL,
    package TEXT    NOT NULL,
    version TEXT    NOT NULL,
    digest  TEXT    NOT NULL,
    actor   TEXT    NOT NULL
);

CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms    BIGINT  NOT NULL,
    actor    TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    detail   TEXT    NOT NULL -- JSON
);

CREATE TABLE download (
    repo    TEXT   NOT NULL,
    day     TEXT   NOT NULL, -- 2006-01-02, UTC
    version TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (repo, day, version)
) WITHOUT ROWID;

-- Sums of download, kept by the same statement: one row for each version, and
-- one with version '' for the package.
CREATE TABLE download_total (
    repo    TEXT   NOT NULL,
    version TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (repo, version)
) WITHOUT ROWID;

CREATE TABLE idempotency (
    principal  TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    reply      BLOB   NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_created ON idempotency (created_ms);

-- What the catalogue shows: derived rows with our own joined.

CREATE VIEW package_view AS
SELECT p.repo, p.base, p.identity, p.latest, p.created_ms, p.updated_ms, p.versions, p.signed, p.doc,
       COALESCE(s.private, FALSE) AS private, COALESCE(s.deprecated, '') AS deprecated,
       COALESCE(s.replaced_by, '') AS replaced_by, COALESCE(d.count, 0) AS downloads
FROM package p
LEFT JOIN setting s ON s.repo = p.repo
LEFT JOIN download_total d ON d.repo = p.repo AND d.version = '';

CREATE VIEW release_view AS
SELECT r.repo, r.version_key, r.version, r.digest, r.size_bytes, r.source, r.source_type, r.source_size,
       r.readme, r.published_ms, r.publisher, r.signed, r.state, r.headers,
       r.manifest, r.config_yaml, r.oci_manifest, r.report,
       COALESCE(y.reason, '') AS yank_reason, COALESCE(y.note, '') AS yank_note,
       COALESCE(y.actor, '') AS yank_actor, COALESCE(y.at_ms, 0) AS yank_ms,
       COALESCE(d.count, 0) AS downloads
FROM release r
LEFT JOIN yank y ON y.repo = r.repo AND y.version_key = r.version_key
LEFT JOIN download_total d ON d.repo = r.repo AND d.version = r.version;

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER change_no_update BEFORE UPDATE ON change
BEGIN
    SELECT RAISE(ABORT, 'the change feed is append-only');
END;

CREATE TRIGGER change_no_delete BEFORE DELETE ON change
BEGIN
    SELECT RAISE(ABORT, 'the change feed is append-only');
END;

-- +goose StatementEnd
