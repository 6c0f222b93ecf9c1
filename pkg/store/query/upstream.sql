-- name: BindNamespace
INSERT INTO upstream_namespace (namespace, host, prefix, created_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (namespace) DO NOTHING;

-- name: UpstreamNamespace
SELECT namespace, host, prefix, created_ms FROM upstream_namespace WHERE namespace = $1;

-- name: UpstreamNamespaces
SELECT namespace, host, prefix, created_ms FROM upstream_namespace ORDER BY namespace;

-- name: UnbindNamespace
DELETE FROM upstream_namespace WHERE namespace = $1 AND host = $2;

-- name: NamespaceHasVersions
-- "acme/" to "acme0": everything below a namespace.
SELECT EXISTS (SELECT 1 FROM claim WHERE repo > $1 AND repo < $2);

-- name: NamespaceIsPublic
-- Whether anything of a namespace can be seen by everybody.
SELECT EXISTS (
    SELECT 1 FROM package p LEFT JOIN setting s ON s.repo = p.repo
    WHERE p.repo > $1 AND p.repo < $2 AND p.latest <> '' AND NOT COALESCE(s.private, FALSE));

-- name: UpstreamRepo
SELECT repo, host, hidden, seen_ms FROM upstream_repo WHERE repo = $1;

-- name: SaveUpstreamRepo
INSERT INTO upstream_repo (repo, host, hidden, seen_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (repo) DO UPDATE SET host = excluded.host, hidden = excluded.hidden, seen_ms = excluded.seen_ms;

-- name: UpstreamRepos
SELECT repo, host, hidden, seen_ms FROM upstream_repo WHERE host = $1 AND repo > $2 ORDER BY repo LIMIT $3;

-- name: NoteMissing
-- The first answer's time stands, as long as it is about the same digest.
INSERT INTO upstream_missing (repo, version_key, digest, first_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (repo, version_key) DO UPDATE
SET first_ms = CASE WHEN upstream_missing.digest = excluded.digest THEN upstream_missing.first_ms ELSE excluded.first_ms END,
    digest = excluded.digest;

-- name: Missing
SELECT first_ms FROM upstream_missing WHERE repo = $1 AND version_key = $2 AND digest = $3;

-- name: ForgetMissing
DELETE FROM upstream_missing WHERE repo = $1 AND version_key = $2;

-- name: UpstreamSweep
SELECT host, position, started_ms, finished_ms, problem FROM upstream_sweep WHERE host = $1;

-- name: SaveUpstreamSweep
INSERT INTO upstream_sweep (host, position, started_ms, finished_ms, problem) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (host) DO UPDATE
SET position = excluded.position, started_ms = excluded.started_ms,
    finished_ms = excluded.finished_ms, problem = excluded.problem;

-- name: AddDelivery
INSERT INTO delivery (endpoint, id, received_ms) VALUES ($1, $2, $3) ON CONFLICT (endpoint, id) DO NOTHING;

-- name: PurgeDeliveries
DELETE FROM delivery WHERE received_ms < $1;

-- name: SameWaiting
-- An equal event that nobody has begun to work on says all that this one does.
SELECT EXISTS (
    SELECT 1 FROM inbox WHERE state = 'waiting' AND repo = $1 AND attempts = 0
      AND source = $2 AND action = $3 AND tag = $4 AND digest = $5);

-- name: ParkedOf
SELECT id, source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, updated_ms
FROM inbox WHERE repo = $1 AND state = 'parked' ORDER BY id DESC LIMIT $2;

-- name: DropParked
-- What was parked about a tag is over once the tag was applied.
DELETE FROM inbox WHERE repo = $1 AND state = 'parked' AND tag = $2 AND (tag <> '' OR digest = $3);
