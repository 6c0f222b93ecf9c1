-- name: SaveRepoLink
INSERT INTO repolink (namespace, base, id, repository, repository_id, owner_id, actor, account, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (namespace, base) DO UPDATE
SET id = excluded.id, repository = excluded.repository, repository_id = excluded.repository_id, owner_id = excluded.owner_id,
    actor = excluded.actor, account = excluded.account, created_ms = excluded.created_ms;

-- name: RepoLink
SELECT namespace, base, id, repository, repository_id, owner_id, actor, account, created_ms
FROM repolink WHERE namespace = $1 AND base = $2;

-- name: RepoLinkByID
SELECT namespace, base, id, repository, repository_id, owner_id, actor, account, created_ms
FROM repolink WHERE id = $1;

-- name: RemoveRepoLink
DELETE FROM repolink WHERE namespace = $1 AND base = $2;

-- name: RemoveTagRuns
DELETE FROM tag_run WHERE link = $1;

-- name: QueueTag
-- What was published stays so: its event may come again.
INSERT INTO tag_run (link, tag, state, attempt, reason, fix, version, received_ms, next_ms, ended_ms)
VALUES ($1, $2, 'waiting', 0, '', '', '', $3, $3, 0)
ON CONFLICT (link, tag) DO UPDATE
SET state = 'waiting', attempt = 0, reason = '', fix = '', received_ms = excluded.received_ms, next_ms = excluded.next_ms
WHERE tag_run.state = 'failed';

-- name: DueTag
SELECT link, tag, state, attempt, reason, fix, version, received_ms, next_ms, ended_ms
FROM tag_run WHERE state = 'waiting' AND next_ms <= $1 ORDER BY next_ms LIMIT 1;

-- name: ClaimTag
-- Of several processes, one takes it.
UPDATE tag_run SET attempt = attempt + 1, next_ms = $4
WHERE link = $1 AND tag = $2 AND state = 'waiting' AND next_ms = $3;

-- name: EndTag
UPDATE tag_run SET state = $3, reason = $4, fix = $5, version = $6, next_ms = $7, ended_ms = $8
WHERE link = $1 AND tag = $2;

-- name: TagRuns
SELECT link, tag, state, attempt, reason, fix, version, received_ms, next_ms, ended_ms
FROM tag_run WHERE link = $1 ORDER BY received_ms DESC LIMIT $2;
