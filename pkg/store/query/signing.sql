-- name: SigningPolicy
SELECT namespace, policy, log_names, actor, at_ms FROM signing_policy WHERE namespace = $1;

-- name: SetSigningPolicy
INSERT INTO signing_policy (namespace, policy, log_names, actor, at_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (namespace) DO UPDATE
SET policy = excluded.policy, log_names = excluded.log_names, actor = excluded.actor, at_ms = excluded.at_ms;

-- name: PolicyNamespaces
SELECT namespace FROM signing_policy WHERE policy <> '' ORDER BY namespace;

-- name: Hold
-- What everybody has seen stays seen.
INSERT INTO held (repo, digest, version_key, since_ms, released_ms) VALUES ($1, $2, $3, $4, 0)
ON CONFLICT (repo, digest) DO NOTHING;

-- name: ReleaseHeld
UPDATE held SET released_ms = $3 WHERE repo = $1 AND digest = $2 AND released_ms = 0;

-- name: Held
SELECT repo, digest, version_key, since_ms, released_ms FROM held WHERE repo = $1 AND digest = $2;

-- name: Waits
-- What waits of a manifest, of what it refers to, or of what that refers to: a
-- signature of a build of a package is three steps.
SELECT h.repo, h.digest, h.version_key, h.since_ms, h.released_ms FROM held h
WHERE h.repo = $1 AND h.released_ms = 0 AND h.digest IN (
    SELECT CAST($2 AS TEXT) UNION ALL
    SELECT f.subject FROM manifest f WHERE f.repo = $1 AND f.digest = $2 AND f.subject <> '' UNION ALL
    SELECT g.subject FROM manifest f JOIN manifest g ON g.repo = f.repo AND g.digest = f.subject
    WHERE f.repo = $1 AND f.digest = $2 AND f.subject <> '' AND g.subject <> '')
LIMIT 1;

-- name: HeldRepos
SELECT DISTINCT repo FROM held WHERE released_ms = 0;

-- name: EraseHeld
DELETE FROM held WHERE repo = $1 AND digest = $2;

-- name: Standing
SELECT evidence, standing FROM release_standing WHERE repo = $1 AND version_key = $2;

-- name: SaveStanding
INSERT INTO release_standing (repo, version_key, evidence, standing) VALUES ($1, $2, $3, $4)
ON CONFLICT (repo, version_key) DO UPDATE SET evidence = excluded.evidence, standing = excluded.standing;

-- name: EraseStanding
DELETE FROM release_standing WHERE repo = $1 AND version_key = $2;

-- name: DropStandingTable
DELETE FROM release_standing;

-- name: SignedList
SELECT org, version, document, signature, actor, at_ms FROM signed_list WHERE org = $1;

-- name: SetSignedList
-- A list is replaced by newer ones alone, and by itself; $7 is 1 for that.
INSERT INTO signed_list (org, version, document, signature, actor, at_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (org) DO UPDATE
SET version = excluded.version, document = excluded.document, signature = excluded.signature, actor = excluded.actor, at_ms = excluded.at_ms
WHERE signed_list.version < excluded.version OR signed_list.version = excluded.version AND $7 = 1;
