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
INSERT INTO pull (repo, day, version, kind, client, platform, count, raw) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (repo, day, version, kind, client, platform) DO UPDATE
SET count = pull.count + excluded.count, raw = pull.raw + excluded.raw;

-- name: AddTotal
INSERT INTO download_total (repo, version, count, ci, robot, raw) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, version) DO UPDATE
SET count = download_total.count + excluded.count, ci = download_total.ci + excluded.ci,
    robot = download_total.robot + excluded.robot, raw = download_total.raw + excluded.raw;

-- name: Counts
-- A month that was rolled up sorts before its days, and counts where the range
-- touches it.
SELECT CASE WHEN $4 THEN day ELSE '' END, CASE WHEN $5 THEN version ELSE '' END, CASE WHEN $6 THEN kind ELSE '' END,
    CASE WHEN $7 THEN client ELSE '' END, CASE WHEN $8 THEN platform ELSE '' END, CAST(SUM(count) AS BIGINT), CAST(SUM(raw) AS BIGINT)
FROM pull
WHERE repo = $1 AND day >= SUBSTR($2, 1, 7) AND day <= $3 AND (day >= $2 OR LENGTH(day) = 7) AND ($9 = '' OR kind = $9)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5;

-- name: Totals
SELECT count, ci, robot, raw FROM download_total WHERE repo = $1 AND version = $2;

-- name: CountedBatch
SELECT CAST(value AS BIGINT) FROM meta WHERE name = $1;

-- name: SetCountedBatch
INSERT INTO meta (name, value) VALUES ($1, CAST(CAST($2 AS BIGINT) AS TEXT))
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: OldestDay
SELECT day FROM pull WHERE LENGTH(day) = 10 ORDER BY day LIMIT 1;

-- name: RollUpDay
INSERT INTO pull (repo, day, version, kind, client, platform, count, raw)
SELECT repo, SUBSTR(day, 1, 7), version, kind, client, platform, count, raw
FROM pull WHERE day = $1 AND LENGTH(day) = 10
ON CONFLICT (repo, day, version, kind, client, platform) DO UPDATE
SET count = pull.count + excluded.count, raw = pull.raw + excluded.raw;

-- name: DropDay
DELETE FROM pull WHERE day = $1 AND LENGTH(day) = 10;

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

-- name: Cursor
SELECT CAST(value AS BIGINT) FROM meta WHERE name = $1;

-- name: SetCursor
INSERT INTO meta (name, value) VALUES ($1, CAST(CAST($2 AS BIGINT) AS TEXT)) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: LastChange
SELECT COALESCE(MAX(seq), 0) FROM change;
