-- Portable SQL: text, bigint, boolean and bytes only; times are Unix
-- milliseconds, 0 for none. It runs unchanged on Postgres and SQLite; what only
-- one of them has is in the folder of its name.

-- name: Reserve
-- No row is affected when the claim is committed or another digest holds it.
INSERT INTO claim (repo, version_key, version, digest, actor, lease_ms, committed_ms)
VALUES ($1, $2, $3, $4, $5, $6, 0)
ON CONFLICT (repo, version_key) DO UPDATE
SET version = excluded.version, digest = excluded.digest, actor = excluded.actor, lease_ms = excluded.lease_ms
WHERE claim.committed_ms = 0 AND (claim.digest = excluded.digest OR claim.lease_ms <= $7);

-- name: Unreserve
DELETE FROM claim WHERE repo = $1 AND version_key = $2 AND digest = $3 AND committed_ms = 0;

-- name: Claim
SELECT repo, version_key, version, digest, actor, lease_ms, committed_ms
FROM claim WHERE repo = $1 AND version_key = $2;

-- name: Claims
SELECT repo, version_key, version, digest, actor, lease_ms, committed_ms
FROM claim WHERE repo = $1 AND version_key > $2 ORDER BY version_key LIMIT $3;

-- name: CommitClaim
-- The first commit's time and actor stand; no row is affected when the claim
-- belongs to another digest.
INSERT INTO claim (repo, version_key, version, digest, actor, lease_ms, committed_ms)
VALUES ($1, $2, $3, $4, $5, 0, $6)
ON CONFLICT (repo, version_key) DO UPDATE
SET version = CASE WHEN claim.committed_ms = 0 THEN excluded.version ELSE claim.version END,
    actor = CASE WHEN claim.committed_ms = 0 THEN excluded.actor ELSE claim.actor END,
    committed_ms = CASE WHEN claim.committed_ms = 0 THEN excluded.committed_ms ELSE claim.committed_ms END
WHERE claim.digest = excluded.digest;

-- name: RestoreClaim
INSERT INTO claim (repo, version_key, version, digest, actor, lease_ms, committed_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (repo, version_key) DO NOTHING;

-- name: OtherSpelling
-- The expression is clyde.Name.Identity: a namespace has neither _ nor a dot.
SELECT repo FROM claim
WHERE REPLACE(REPLACE(repo, '_', '-'), '.', '-') = $1 AND repo <> $2 AND (committed_ms > 0 OR lease_ms > $3)
ORDER BY repo LIMIT 1;

-- name: HasVersions
SELECT EXISTS (SELECT 1 FROM claim WHERE repo = $1 AND committed_ms > 0);
