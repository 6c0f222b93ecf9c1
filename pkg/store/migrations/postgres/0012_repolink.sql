-- Repositories of source code that packages are published from, and the tags
-- that were. Both are our own: a backup brings them back.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE repolink (
    namespace     TEXT COLLATE "C"   NOT NULL,
    base          TEXT COLLATE "C"   NOT NULL,
    id            TEXT COLLATE "C"   NOT NULL UNIQUE,
    repository    TEXT COLLATE "C"   NOT NULL, -- OWNER/NAME, as it was called when it was linked
    repository_id TEXT COLLATE "C"   NOT NULL, -- the provider's number of it, which counts
    owner_id      TEXT COLLATE "C"   NOT NULL,
    actor         TEXT COLLATE "C"   NOT NULL,
    account       BIGINT NOT NULL, -- on whose behalf is published; 0: the instance's
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (namespace, base)
);

CREATE TABLE tag_run (
    link        TEXT COLLATE "C"   NOT NULL, -- repolink.id
    tag         TEXT COLLATE "C"   NOT NULL,
    state       TEXT COLLATE "C"   NOT NULL, -- waiting | failed | done
    attempt     BIGINT NOT NULL,
    reason      TEXT COLLATE "C"   NOT NULL, -- why it failed, or waits
    fix         TEXT COLLATE "C"   NOT NULL,
    version     TEXT COLLATE "C"   NOT NULL, -- that was published
    received_ms BIGINT NOT NULL,
    next_ms     BIGINT NOT NULL, -- of a waiting one: not before
    ended_ms    BIGINT NOT NULL,
    PRIMARY KEY (link, tag)
);
CREATE INDEX tag_run_due ON tag_run (next_ms) WHERE state = 'waiting';
CREATE INDEX tag_run_link ON tag_run (link, received_ms);

-- +goose StatementEnd
