-- How often what others cache has changed, for processes that share a database:
-- 'access', a package's repository, or '*' for all packages. Only ever grows. A
-- file has one process that serves, which counts in memory.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE stamp (
    name TEXT   NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
) WITHOUT ROWID;

-- +goose StatementEnd
