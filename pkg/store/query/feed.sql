-- name: AddChange
INSERT INTO change (at_ms, type, package, version, digest, actor) VALUES ($1, $2, $3, $4, $5, $6);

-- name: Changes
SELECT seq, at_ms, type, package, version, digest, actor FROM change WHERE seq > $1 ORDER BY seq LIMIT $2;

-- name: Announced
SELECT EXISTS (SELECT 1 FROM change WHERE type = 'version.published' AND package = $1 AND version = $2 AND digest = $3);

-- name: Epoch
SELECT value FROM meta WHERE name = 'epoch';

-- name: SetEpoch
INSERT INTO meta (name, value) VALUES ('epoch', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: InitEpoch
INSERT INTO meta (name, value) VALUES ('epoch', $1) ON CONFLICT (name) DO NOTHING;

-- name: AddCount
INSERT INTO download (repo, day, version, count) VALUES ($1, $2, $3, $4)
ON CONFLICT (repo, day, version) DO UPDATE SET count = download.count + excluded.count;

-- name: AddTotal
INSERT INTO download_total (repo, version, count) VALUES ($1, $2, $3)
ON CONFLICT (repo, version) DO UPDATE SET count = download_total.count + excluded.count;

-- name: Counts
SELECT repo, version, day, count FROM download
WHERE repo = $1 AND day >= $2 AND day <= $3 ORDER BY day, version;

-- name: DropRequirementTable
DELETE FROM requirement;

-- name: DropShownTable
DELETE FROM release_shown;

-- name: DropReleaseTable
DELETE FROM release;

-- name: DropPackageTable
DELETE FROM package;

-- name: DropTagTable
DELETE FROM tag;

-- name: DropManifestTable
DELETE FROM manifest;

-- name: DropRepositoryTable
DELETE FROM repository;

-- name: DropCounterTable
DELETE FROM counter;

-- name: Ping
SELECT 1;

-- name: QuickCheck
-- SQLite only.
PRAGMA quick_check(10);

-- name: Cursor
SELECT CAST(value AS BIGINT) FROM meta WHERE name = $1;

-- name: SetCursor
INSERT INTO meta (name, value) VALUES ($1, CAST($2 AS TEXT)) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: LastChange
SELECT COALESCE(MAX(seq), 0) FROM change;
