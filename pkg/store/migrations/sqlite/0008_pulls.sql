-- Who pulled, in classes: people, CI and robots apart, with client and
-- platform, and nothing about anybody. Our own. download stays for the release
-- before this one.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE pull (
    repo     TEXT   NOT NULL,
    day      TEXT   NOT NULL, -- 2006-01-02, UTC; 2006-01 once it is rolled up
    version  TEXT   NOT NULL,
    kind     TEXT   NOT NULL, -- people | ci | robot
    client   TEXT   NOT NULL, -- of a closed list
    platform TEXT   NOT NULL, -- of a closed list
    count    BIGINT NOT NULL, -- without repetitions
    raw      BIGINT NOT NULL, -- every one
    PRIMARY KEY (repo, day, version, kind, client, platform)
) WITHOUT ROWID;
CREATE INDEX pull_daily ON pull (day) WHERE LENGTH(day) = 10;

INSERT INTO pull (repo, day, version, kind, client, platform, count, raw)
SELECT repo, day, version, 'people', 'unknown', 'unknown', count, count FROM download;

-- count is people's from here on.
ALTER TABLE download_total ADD COLUMN ci    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE download_total ADD COLUMN robot BIGINT NOT NULL DEFAULT 0;
ALTER TABLE download_total ADD COLUMN raw   BIGINT NOT NULL DEFAULT 0;
UPDATE download_total SET raw = count;

-- +goose StatementEnd
