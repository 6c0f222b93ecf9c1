-- name: Holdings
-- What an account may do now, and from where. The last part takes wildcards
-- away from packages that were handed to others.
SELECT n.name || '/*', 'owner', 'namespace', '', ''
FROM namespace n WHERE n.owner_kind = 'account' AND n.owner = $1
UNION ALL
SELECT n.name || '/*', m.role, 'org', o.name, o.creators
FROM member m JOIN org o ON o.id = m.org JOIN namespace n ON n.owner_kind = 'org' AND n.owner = m.org
WHERE m.account = $1
UNION ALL
SELECT g.pattern, g.role, 'grant', '', COALESCE(o.creators, '')
FROM pkg_grant g LEFT JOIN namespace n ON n.name = g.namespace
LEFT JOIN org o ON n.owner_kind = 'org' AND o.id = n.owner
WHERE g.holder_kind = 'account' AND g.holder = $1
UNION ALL
SELECT g.pattern, g.role, 'team', t.name, COALESCE(o.creators, '')
FROM team_member tm JOIN team t ON t.id = tm.team
JOIN pkg_grant g ON g.holder_kind = 'team' AND g.holder = tm.team
LEFT JOIN namespace n ON n.name = g.namespace
LEFT JOIN org o ON n.owner_kind = 'org' AND o.id = n.owner
WHERE tm.account = $1
UNION ALL
SELECT p.repo, 'owner', 'package', '', ''
FROM package_owner p WHERE p.owner_kind = 'account' AND p.owner = $1
UNION ALL
SELECT p.repo, m.role, 'package-org', o.name, o.creators
FROM member m JOIN org o ON o.id = m.org JOIN package_owner p ON p.owner_kind = 'org' AND p.owner = m.org
WHERE m.account = $1
UNION ALL
SELECT p.repo, '', 'transferred', '', ''
FROM namespace n JOIN package_owner p ON p.namespace = n.name
WHERE n.owner_kind = 'account' AND n.owner = $1
UNION ALL
SELECT p.repo, '', 'transferred', '', ''
FROM member m JOIN namespace n ON n.owner_kind = 'org' AND n.owner = m.org JOIN package_owner p ON p.namespace = n.name
WHERE m.account = $1
UNION ALL
SELECT p.repo, '', 'transferred', '', ''
FROM pkg_grant g JOIN package_owner p ON p.namespace = g.namespace
WHERE g.holder_kind = 'account' AND g.holder = $1
UNION ALL
SELECT p.repo, '', 'transferred', '', ''
FROM team_member tm JOIN pkg_grant g ON g.holder_kind = 'team' AND g.holder = tm.team
JOIN package_owner p ON p.namespace = g.namespace
WHERE tm.account = $1;

-- name: SetGrant
INSERT INTO pkg_grant (pattern, holder_kind, holder, namespace, role, actor, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (pattern, holder_kind, holder) DO UPDATE
SET role = excluded.role, actor = excluded.actor, created_ms = excluded.created_ms;

-- name: RemoveGrant
DELETE FROM pkg_grant WHERE pattern = $1 AND holder_kind = $2 AND holder = $3;

-- name: Grants
SELECT g.pattern, g.holder_kind, g.holder, COALESCE(a.login, o.name || '/' || t.name, ''), g.role, g.actor, g.created_ms
FROM pkg_grant g
LEFT JOIN account a ON g.holder_kind = 'account' AND a.id = g.holder
LEFT JOIN team t ON g.holder_kind = 'team' AND t.id = g.holder
LEFT JOIN org o ON o.id = t.org
WHERE g.namespace = $1 ORDER BY g.pattern;

-- name: RemoveGrantsOn
DELETE FROM pkg_grant WHERE pattern = $1;

-- name: RemoveGrantsIn
DELETE FROM pkg_grant WHERE namespace = $1
  AND NOT EXISTS (SELECT 1 FROM package_owner p WHERE p.repo = pkg_grant.pattern);

-- name: PackageOwner
SELECT owner_kind, owner FROM package_owner WHERE repo = $1;

-- name: SetPackageOwner
INSERT INTO package_owner (repo, namespace, owner_kind, owner, created_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (repo) DO UPDATE
SET owner_kind = excluded.owner_kind, owner = excluded.owner, created_ms = excluded.created_ms;

-- name: RemovePackageOwner
DELETE FROM package_owner WHERE repo = $1;

-- name: AddInvitation
INSERT INTO invitation (id, org, pattern, role, account, actor, inviter, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: Invitation
SELECT i.id, i.org, COALESCE(o.name, ''), i.pattern, i.role, i.account, COALESCE(a.login, ''), i.actor, i.inviter, i.created_ms, i.expires_ms
FROM invitation i LEFT JOIN org o ON o.id = i.org LEFT JOIN account a ON a.id = i.account WHERE i.id = $1;

-- name: InvitationsFor
SELECT i.id, i.org, COALESCE(o.name, ''), i.pattern, i.role, i.account, COALESCE(a.login, ''), i.actor, i.inviter, i.created_ms, i.expires_ms
FROM invitation i LEFT JOIN org o ON o.id = i.org LEFT JOIN account a ON a.id = i.account
WHERE i.account = $1 AND i.expires_ms > $2 ORDER BY i.created_ms;

-- name: InvitationsOfOrg
SELECT i.id, i.org, COALESCE(o.name, ''), i.pattern, i.role, i.account, COALESCE(a.login, ''), i.actor, i.inviter, i.created_ms, i.expires_ms
FROM invitation i LEFT JOIN org o ON o.id = i.org LEFT JOIN account a ON a.id = i.account
WHERE i.org = $1 AND i.expires_ms > $2 ORDER BY i.created_ms;

-- name: InvitationsOn
SELECT i.id, i.org, COALESCE(o.name, ''), i.pattern, i.role, i.account, COALESCE(a.login, ''), i.actor, i.inviter, i.created_ms, i.expires_ms
FROM invitation i LEFT JOIN org o ON o.id = i.org LEFT JOIN account a ON a.id = i.account
WHERE i.pattern = $1 AND i.expires_ms > $2 ORDER BY i.created_ms;

-- name: TakeInvitation
DELETE FROM invitation WHERE id = $1 AND account = $2 AND expires_ms > $3;

-- name: RemoveInvitation
DELETE FROM invitation WHERE id = $1;

-- name: RemoveInvitationsOn
DELETE FROM invitation WHERE pattern = $1;

-- name: AddTransfer
INSERT INTO transfer (id, pattern, namespace, to_kind, to_owner, asked_by, state, decided_by, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, $7, $8);

-- name: Transfer
SELECT t.id, t.pattern, t.to_kind, t.to_owner, COALESCE(a.login, o.name, ''), t.asked_by, t.state, t.decided_by, t.created_ms, t.expires_ms
FROM transfer t LEFT JOIN account a ON t.to_kind = 'account' AND a.id = t.to_owner
LEFT JOIN org o ON t.to_kind = 'org' AND o.id = t.to_owner WHERE t.id = $1;

-- name: TransfersTo
SELECT t.id, t.pattern, t.to_kind, t.to_owner, COALESCE(a.login, o.name, ''), t.asked_by, t.state, t.decided_by, t.created_ms, t.expires_ms
FROM transfer t LEFT JOIN account a ON t.to_kind = 'account' AND a.id = t.to_owner
LEFT JOIN org o ON t.to_kind = 'org' AND o.id = t.to_owner
WHERE t.to_kind = $1 AND t.to_owner = $2 AND t.state = 'waiting' AND t.expires_ms > $3 ORDER BY t.created_ms;

-- name: TransfersFrom
SELECT t.id, t.pattern, t.to_kind, t.to_owner, COALESCE(a.login, o.name, ''), t.asked_by, t.state, t.decided_by, t.created_ms, t.expires_ms
FROM transfer t LEFT JOIN account a ON t.to_kind = 'account' AND a.id = t.to_owner
LEFT JOIN org o ON t.to_kind = 'org' AND o.id = t.to_owner
WHERE t.namespace = $1 AND t.state = 'waiting' AND t.expires_ms > $2 ORDER BY t.created_ms;

-- name: EndTransfer
UPDATE transfer SET state = $2, decided_by = $3 WHERE id = $1 AND state = 'waiting' AND expires_ms > $4;

-- name: CancelTransfersOn
UPDATE transfer SET state = 'cancelled' WHERE namespace = $1 AND state = 'waiting' AND ($2 = '' OR pattern = $2);

-- name: AddConfirmation
INSERT INTO confirmation (id, org, kind, payload, asked_by, confirmed_by, state, created_ms, expires_ms)
VALUES ($1, $2, $3, $4, $5, 0, 'waiting', $6, $7);

-- name: Confirmation
SELECT id, org, kind, payload, asked_by, confirmed_by, state, created_ms, expires_ms FROM confirmation WHERE id = $1;

-- name: Confirmations
SELECT id, org, kind, payload, asked_by, confirmed_by, state, created_ms, expires_ms
FROM confirmation WHERE org = $1 AND state = 'waiting' AND expires_ms > $2 ORDER BY created_ms;

-- name: DecideConfirmation
-- Whoever asked may take it back, but not confirm it.
UPDATE confirmation SET state = $2, confirmed_by = $3
WHERE id = $1 AND state = 'waiting' AND expires_ms > $4 AND ($2 <> 'done' OR asked_by <> $3);

-- name: AddPublisher
INSERT INTO publisher (id, namespace, base, provider, issuer, claims, actor, account, created_ms, expires_ms, used_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0);

-- name: Publisher
SELECT id, namespace, base, provider, issuer, claims, actor, account, created_ms, expires_ms, used_ms
FROM publisher WHERE id = $1;

-- name: PublishersOf
SELECT id, namespace, base, provider, issuer, claims, actor, account, created_ms, expires_ms, used_ms
FROM publisher WHERE namespace = $1 AND base = $2 ORDER BY created_ms;

-- name: PublishersIn
SELECT id, namespace, base, provider, issuer, claims, actor, account, created_ms, expires_ms, used_ms
FROM publisher WHERE namespace = $1 ORDER BY base, created_ms;

-- name: PublishersByIssuer
SELECT id, namespace, base, provider, issuer, claims, actor, account, created_ms, expires_ms, used_ms
FROM publisher WHERE issuer = $1 ORDER BY namespace, base;

-- name: UsePublisher
-- The package exists now: a pending one stays.
UPDATE publisher SET used_ms = $2, expires_ms = 0 WHERE id = $1;

-- name: RemovePublisher
DELETE FROM publisher WHERE id = $1;

-- name: RemovePublishersOf
DELETE FROM publisher WHERE namespace = $1 AND base = $2;

-- name: RemovePublishersIn
DELETE FROM publisher WHERE namespace = $1
  AND NOT EXISTS (SELECT 1 FROM package_owner p WHERE p.repo = publisher.namespace || '/' || publisher.base);

-- name: PurgeJTI
DELETE FROM jti WHERE expires_ms <= $1;

-- name: UseJTI
INSERT INTO jti (issuer, hash, expires_ms) VALUES ($1, $2, $3) ON CONFLICT (issuer, hash) DO NOTHING;

-- name: AddPublication
-- The first publication stands, as the claim's actor does.
INSERT INTO publication (repo, version_key, account, token, run, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, version_key) DO NOTHING;

-- name: Publication
SELECT p.repo, p.version_key, p.account, COALESCE(a.login, ''), p.token, p.run, p.created_ms
FROM publication p LEFT JOIN account a ON a.id = p.account WHERE p.repo = $1 AND p.version_key = $2;

-- name: Publications
SELECT p.repo, p.version_key, p.account, COALESCE(a.login, ''), p.token, p.run, p.created_ms
FROM publication p LEFT JOIN account a ON a.id = p.account WHERE p.repo = $1 ORDER BY p.version_key;

-- name: SetModeration
INSERT INTO moderation (repo, version_key, state, reason, actor, at_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, version_key) DO UPDATE
SET state = excluded.state, reason = excluded.reason, actor = excluded.actor, at_ms = excluded.at_ms
WHERE moderation.state <> 'erased' OR excluded.state = 'erased';

-- name: ClearModeration
DELETE FROM moderation WHERE repo = $1 AND version_key = $2 AND state <> 'erased';

-- name: Moderation
-- That of the version itself, else that of the whole package.
SELECT repo, version_key, state, reason, actor, at_ms FROM moderation
WHERE repo = $1 AND version_key IN ($2, '') ORDER BY version_key DESC LIMIT 1;

-- name: Moderations
SELECT repo, version_key, state, reason, actor, at_ms FROM moderation WHERE repo = $1 ORDER BY version_key;

-- name: ModerationList
SELECT repo, version_key, state, reason, actor, at_ms FROM moderation WHERE (repo, version_key) > ($1, $2) ORDER BY repo, version_key LIMIT $3;

-- name: Withdrawn
-- What withdraws a manifest: the moderation of the version that it is, of the
-- one that it refers to, or of the package.
SELECT m.repo, m.version_key, m.state, m.reason, m.actor, m.at_ms FROM moderation m
WHERE m.repo = $1 AND (m.version_key = '' OR m.version_key IN (
    SELECT c.version_key FROM claim c WHERE c.repo = $1 AND c.committed_ms > 0 AND c.digest IN (
        SELECT CAST($2 AS TEXT) UNION ALL SELECT f.subject FROM manifest f WHERE f.repo = $1 AND f.digest = $2 AND f.subject <> '')))
ORDER BY m.version_key DESC LIMIT 1;

-- name: BlobHolders
-- The manifests of a repository that name a blob, which $2 is as part of the JSON.
SELECT digest FROM manifest WHERE repo = $1 AND refs LIKE $2 ORDER BY digest;

-- name: BlobRepos
-- Every repository that needs the bytes of a digest: it reads the whole table,
-- and is asked when something is erased.
SELECT DISTINCT repo FROM manifest WHERE digest = $1 OR refs LIKE $2 ORDER BY repo;

-- name: ModeratedRepos
SELECT DISTINCT repo FROM moderation;

-- name: AddReport
INSERT INTO report (id, repo, version, kind, note, account, actor, state, decided_by, decided, created_ms, decided_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', '', '', $8, 0);

-- name: Report
SELECT id, repo, version, kind, note, account, actor, state, decided_by, decided, created_ms, decided_ms FROM report WHERE id = $1;

-- name: Reports
SELECT id, repo, version, kind, note, account, actor, state, decided_by, decided, created_ms, decided_ms
FROM report WHERE state = $1 ORDER BY created_ms DESC, id DESC LIMIT $2;

-- name: DecideReport
UPDATE report SET state = 'closed', decided_by = $2, decided = $3, decided_ms = $4 WHERE id = $1 AND state = 'open';
