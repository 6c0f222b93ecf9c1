-- Binary builds of versions, and what a namespace says of who may attach them.

-- +goose Up
-- +goose StatementBegin

-- Derived from the registry, and dropped with releases. The large column comes
-- last.
CREATE TABLE build (
    repo         TEXT   NOT NULL,
    digest       TEXT   NOT NULL, -- of the build's manifest
    version_key  TEXT   NOT NULL,
    tag          TEXT   NOT NULL, -- "1.2.0_0123456789abcdef"
    abi_id       TEXT   NOT NULL,
    os           TEXT   NOT NULL,
    arch         TEXT   NOT NULL,
    tree         TEXT   NOT NULL, -- digest of the layer that is installed
    tree_bytes   BIGINT NOT NULL,
    debug        TEXT   NOT NULL, -- digest of the layer of debug symbols, or ''
    debug_bytes  BIGINT NOT NULL,
    attached_ms  BIGINT NOT NULL,
    actor        TEXT   NOT NULL,
    facts        BLOB   NOT NULL, -- build.json, byte for byte
    PRIMARY KEY (repo, digest)
);
CREATE INDEX build_version ON build (repo, version_key, attached_ms, digest);
CREATE INDEX build_platform ON build (repo, version_key, os, arch);

-- Our own.
CREATE TABLE build_policy (
    namespace  TEXT   NOT NULL PRIMARY KEY,
    days       BIGINT NOT NULL, -- in which builds may follow their version; -1 for ever
    rebuilders TEXT   NOT NULL  -- JSON array of identities besides the publisher's
) WITHOUT ROWID;

CREATE INDEX change_build ON change (package, digest) WHERE type = 'build.added';

-- +goose StatementEnd
