-- Whose signatures the packages of a namespace must carry, which versions wait
-- for them, and what was found about each.

-- +goose Up
-- +goose StatementBegin

-- Our own.
CREATE TABLE signing_policy (
    namespace TEXT   NOT NULL PRIMARY KEY,
    policy    TEXT   NOT NULL, -- YAML, byte for byte as it was set; '' is none
    log_names BIGINT NOT NULL, -- 1: names of private packages may be in public logs
    actor     TEXT   NOT NULL,
    at_ms     BIGINT NOT NULL
) WITHOUT ROWID;

-- Our own: package manifests that came to a namespace which asks for signatures.
CREATE TABLE held (
    repo        TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    version_key TEXT   NOT NULL,
    since_ms    BIGINT NOT NULL,
    released_ms BIGINT NOT NULL, -- when everybody may see it; 0: not yet
    PRIMARY KEY (repo, digest)
) WITHOUT ROWID;
CREATE INDEX held_waiting ON held (repo) WHERE released_ms = 0;

-- Derived, and dropped with releases.
CREATE TABLE release_standing (
    repo        TEXT NOT NULL,
    version_key TEXT NOT NULL,
    evidence    TEXT NOT NULL, -- hash of all that the standing follows from
    standing    TEXT NOT NULL, -- JSON of policy.Standing
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

-- Our own: lists of packages that an organisation allows and denies, which it
-- has signed and clients check.
CREATE TABLE signed_list (
    org       TEXT   NOT NULL PRIMARY KEY,
    document  BLOB   NOT NULL, -- byte for byte as it was signed
    signature BLOB   NOT NULL,
    actor     TEXT   NOT NULL,
    at_ms     BIGINT NOT NULL
) WITHOUT ROWID;

-- +goose StatementEnd
