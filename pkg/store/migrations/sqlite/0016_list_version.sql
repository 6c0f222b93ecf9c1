-- Which version of a namespace's list was there last: it stays when the list is
-- taken away, so that an older one does not come back.

-- +goose Up
-- +goose StatementBegin

ALTER TABLE signed_list ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

-- +goose StatementEnd
