-- What linkers and loaders find in builds, measured from their files.

-- +goose Up
-- +goose StatementBegin

-- Derived from the registry, and dropped with build. The large columns come
-- last.
CREATE TABLE build_link (
    repo        TEXT    NOT NULL,
    digest      TEXT    NOT NULL, -- of the build's manifest
    version_key TEXT    NOT NULL,
    shared      BOOLEAN NOT NULL, -- the symbols are those of shared libraries, for want of archives
    sonames     TEXT    NOT NULL, -- JSON array
    symbols     TEXT    NOT NULL, -- JSON array
    PRIMARY KEY (repo, digest)
);
CREATE INDEX build_link_version ON build_link (repo, version_key, shared, digest);

-- +goose StatementEnd
