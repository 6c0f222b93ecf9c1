-- Whose signatures the packages of a namespace must carry, which versions wait
-- for them, and what was found about each.

-- +goose Up
-- +goose StatementBegin

-- Our own.
CREATE TABLE signing_policy (
    namespace TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    policy    TEXT COLLATE "C" NOT NULL, -- YAML, byte for byte as it was set; '' is none
    log_names BIGINT NOT NULL, -- 1: names of private packages may be in public logs
    actor     TEXT COLLATE "C" NOT NULL,
    at_ms     BIGINT NOT NULL
);

-- Our own: package manifests that came to a namespace which asks for signatures.
CREATE TABLE held (
    repo        TEXT COLLATE "C" NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    version_key TEXT COLLATE "C" NOT NULL,
    since_ms    BIGINT NOT NULL,
    released_ms BIGINT NOT NULL, -- when everybody may see it; 0: not yet
    PRIMARY KEY (repo, digest)
);
CREATE INDEX held_waiting ON held (repo) WHERE released_ms = 0;

-- Derived, and dropped with releases.
CREATE TABLE release_standing (
    repo        TEXT COLLATE "C" NOT NULL,
    version_key TEXT COLLATE "C" NOT NULL,
    evidence    TEXT COLLATE "C" NOT NULL, -- hash of all that the standing follows from
    standing    TEXT COLLATE "C" NOT NULL, -- JSON of policy.Standing
    PRIMARY KEY (repo, version_key)
);

-- Our own: lists of packages that an organisation allows and denies, which it
-- has signed and clients check.
CREATE TABLE signed_list (
    org       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document  BYTEA  NOT NULL, -- byte for byte as it was signed
    signature BYTEA  NOT NULL,
    actor     TEXT COLLATE "C" NOT NULL,
    at_ms     BIGINT NOT NULL
);

-- +goose StatementEnd
