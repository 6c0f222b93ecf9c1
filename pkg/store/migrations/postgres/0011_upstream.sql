-- Registries that others run, whose packages are indexed here. All of it is our
-- own; losing upstream_missing and upstream_sweep costs a sweep.

-- +goose Up
-- +goose StatementBegin

-- The one foreign registry that a namespace comes from; a namespace without a
-- row here comes from this registry.
CREATE TABLE upstream_namespace (
    namespace  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    host       TEXT COLLATE "C" NOT NULL, -- host[:port] of the registry
    prefix     TEXT COLLATE "C" NOT NULL, -- of its repositories, before namespace/name; usually ''
    created_ms BIGINT NOT NULL
);

-- Repositories of foreign registries that hold packages.
CREATE TABLE upstream_repo (
    repo     TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- namespace/name, as everywhere
    host     TEXT COLLATE "C" NOT NULL,
    hidden   BOOLEAN NOT NULL, -- only our credentials can read it
    seen_ms  BIGINT  NOT NULL
);
CREATE INDEX upstream_repo_host ON upstream_repo (host, repo);

-- Versions whose digest was answered to be gone, until a second answer.
CREATE TABLE upstream_missing (
    repo        TEXT COLLATE "C" NOT NULL,
    version_key TEXT COLLATE "C" NOT NULL,
    digest      TEXT COLLATE "C" NOT NULL,
    first_ms    BIGINT NOT NULL,
    PRIMARY KEY (repo, version_key)
);

-- Where the sweep of each registry stands.
CREATE TABLE upstream_sweep (
    host        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position    TEXT COLLATE "C" NOT NULL, -- the last repository that was looked at; '' before the first
    started_ms  BIGINT NOT NULL,
    finished_ms BIGINT NOT NULL, -- of the last whole one; 0: none
    problem     TEXT COLLATE "C" NOT NULL  -- why the last one did not end, or ''
);

-- Notifications by their identifier, so that each counts once.
CREATE TABLE delivery (
    endpoint    TEXT COLLATE "C" NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (endpoint, id)
);
CREATE INDEX delivery_received ON delivery (received_ms);

CREATE INDEX inbox_parked ON inbox (repo, id) WHERE state = 'parked';
CREATE INDEX inbox_same ON inbox (repo, tag, digest) WHERE state = 'waiting';

-- +goose StatementEnd
