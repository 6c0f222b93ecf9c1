-- Two questions that each publish asks: whether another spelling of the name
-- is claimed, and whether the feed has announced the version.

-- +goose Up
-- +goose StatementBegin

CREATE INDEX claim_identity ON claim (REPLACE(REPLACE(repo, '_', '-'), '.', '-'));

CREATE INDEX change_published ON change (package, version, digest) WHERE type = 'version.published';

-- +goose StatementEnd
