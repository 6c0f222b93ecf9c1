-- Manifests by when they were pushed: what the garbage collection of another
-- process has to look at again.

-- +goose Up
-- +goose StatementBegin

CREATE INDEX manifest_pushed ON manifest (pushed_ms);

-- +goose StatementEnd
