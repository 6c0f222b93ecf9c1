-- How often what others cache has changed, for processes that share a database:
-- 'access', a package's repository, or '*' for all packages. Only ever grows.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE stamp (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);

-- +goose StatementEnd
