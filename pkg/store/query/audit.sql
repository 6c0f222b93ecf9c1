-- Statements about audit_part run on the table of a month, whose name takes its
-- place: see auditOf.

-- name: AddAuditPart
INSERT INTO audit_part (seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: AuditRange
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq > $1 ORDER BY seq LIMIT $2;

-- name: AuditPage
-- Equal or, for action and resource, a prefix; the variants below begin at an
-- index, and want that column equal.
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND ($4 = '' OR actor = $4)
  AND (account = $5 OR $5 = 0) AND substr(action, 1, length($6)) = $6 AND substr(resource, 1, length($7)) = $7 AND ($8 = '' OR scope = $8)
ORDER BY seq DESC LIMIT $9;

-- name: AuditByActor
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND actor = $4
  AND (account = $5 OR $5 = 0) AND substr(action, 1, length($6)) = $6 AND substr(resource, 1, length($7)) = $7 AND ($8 = '' OR scope = $8)
ORDER BY seq DESC LIMIT $9;

-- name: AuditByAccount
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND ($4 = '' OR actor = $4)
  AND account = $5 AND substr(action, 1, length($6)) = $6 AND substr(resource, 1, length($7)) = $7 AND ($8 = '' OR scope = $8)
ORDER BY seq DESC LIMIT $9;

-- name: AuditByAction
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND ($4 = '' OR actor = $4)
  AND (account = $5 OR $5 = 0) AND action = $6 AND substr(resource, 1, length($7)) = $7 AND ($8 = '' OR scope = $8)
ORDER BY seq DESC LIMIT $9;

-- name: AuditByResource
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND ($4 = '' OR actor = $4)
  AND (account = $5 OR $5 = 0) AND substr(action, 1, length($6)) = $6 AND resource = $7 AND ($8 = '' OR scope = $8)
ORDER BY seq DESC LIMIT $9;

-- name: AuditByScope
SELECT seq, at_ms, actor, account, token, address, action, resource, scope, detail, before, after, prev, hash
FROM audit_part WHERE seq < $1 AND at_ms >= $2 AND at_ms < $3 AND ($4 = '' OR actor = $4)
  AND (account = $5 OR $5 = 0) AND substr(action, 1, length($6)) = $6 AND substr(resource, 1, length($7)) = $7 AND scope = $8
ORDER BY seq DESC LIMIT $9;

-- name: AuditMonths
SELECT month, first_seq, last_seq, prev, hash, from_ms, to_ms, dropped_ms
FROM audit_month WHERE month <= $1 ORDER BY month DESC;

-- name: AuditHead
SELECT month, first_seq, last_seq, prev, hash, from_ms, to_ms, dropped_ms
FROM audit_month ORDER BY month DESC LIMIT 1;

-- name: SaveAuditMonth
INSERT INTO audit_month (month, first_seq, last_seq, prev, hash, from_ms, to_ms, dropped_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
ON CONFLICT (month) DO UPDATE
SET last_seq = excluded.last_seq, hash = excluded.hash, from_ms = excluded.from_ms, to_ms = excluded.to_ms;

-- name: DropAuditMonth
UPDATE audit_month SET dropped_ms = $2 WHERE month = $1 AND dropped_ms = 0;

-- name: DropAuditPart
DROP TABLE audit_part;

-- name: EarlierAudit
-- What a release before the chain of hashes wrote.
SELECT seq, at_ms, actor, action, resource, detail FROM audit WHERE seq > $1 ORDER BY seq;

-- name: AuditAdopted
SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'audit_adopted';

-- name: SetAuditAdopted
INSERT INTO meta (name, value) VALUES ('audit_adopted', CAST(CAST($1 AS BIGINT) AS TEXT))
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
