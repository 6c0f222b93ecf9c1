-- An event is claimable when it is the head of its repository's queue. That
-- keeps a repository's events in order and one at a time, and claiming as
-- cheap for one repository with ten thousand events as for ten thousand with
-- one each.

-- name: PutEvent
INSERT INTO inbox (source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, due_ms, updated_ms, head)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', '', 0, 0, $8,
        NOT EXISTS (SELECT 1 FROM inbox WHERE repo = $3 AND head))
RETURNING id;

-- name: Inbox
SELECT id, source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, updated_ms
FROM inbox WHERE id < $1 ORDER BY id DESC LIMIT $2;

-- name: InboxByState
SELECT id, source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, updated_ms
FROM inbox WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3;

-- name: InboxItem
SELECT id, source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, updated_ms
FROM inbox WHERE id = $1;

-- name: DueEvents
SELECT id, source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, updated_ms
FROM inbox WHERE head AND due_ms <= $1 ORDER BY id LIMIT $2;

-- name: LeaseEvent
UPDATE inbox SET due_ms = $2, attempts = attempts + 1, updated_ms = $3 WHERE id = $1;

-- name: RetryEvent
UPDATE inbox SET due_ms = $2, reason = $3, updated_ms = $4 WHERE id = $1 AND state = 'waiting';

-- name: EndEvent
UPDATE inbox SET state = $2, reason = $3, updated_ms = $4, head = FALSE WHERE id = $1 AND state = 'waiting';

-- name: PromoteEvent
UPDATE inbox SET head = TRUE
WHERE id = (SELECT MIN(id) FROM inbox WHERE repo = $1 AND state = 'waiting')
  AND NOT EXISTS (SELECT 1 FROM inbox WHERE repo = $1 AND head);

-- name: ParkNew
-- Nothing when the same is parked already.
INSERT INTO inbox (source, action, repo, tag, digest, actor, received_ms, state, reason, attempts, due_ms, updated_ms, head)
SELECT $1, $2, $3, $4, $5, $6, $7, 'parked', $8, 1, 0, $9, FALSE
WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE state = 'parked' AND repo = $3 AND tag = $4 AND digest = $5);

-- name: ReplayEvent
UPDATE inbox SET state = 'waiting', reason = '', attempts = 0, due_ms = 0, updated_ms = $2
WHERE id = $1 AND state = 'parked';

-- name: CountWaiting
SELECT COUNT(*) FROM inbox WHERE state = 'waiting';

-- name: CountParked
SELECT COUNT(*) FROM inbox WHERE state = 'parked';

-- name: OldestWaiting
-- Of the heads of their repositories' queues, which holds for all behind them.
SELECT received_ms FROM inbox WHERE head ORDER BY id LIMIT 1;

-- name: PurgeEvents
DELETE FROM inbox WHERE state = 'done' AND updated_ms < $1;
