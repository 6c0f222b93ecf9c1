-- What callers have left of a limit, for processes that share a database; a file
-- has one process that serves, which counts in memory. The level of a bucket is
-- in millionths of a request, as of a time.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE bucket (
    kind   TEXT NOT NULL,
    caller TEXT NOT NULL,
    micro  BIGINT NOT NULL,
    at_ms  BIGINT NOT NULL,
    PRIMARY KEY (kind, caller)
);
CREATE INDEX bucket_at ON bucket (at_ms);

-- +goose StatementEnd
