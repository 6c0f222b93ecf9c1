-- name: AddOrg
-- No row comes back when the name is taken.
INSERT INTO org (name, display, created_ms, trusted_only, signed_only, two_person, creators)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING RETURNING id;

-- name: Org
SELECT id, name, display, created_ms, trusted_only, signed_only, two_person, creators FROM org WHERE id = $1;

-- name: OrgByName
SELECT id, name, display, created_ms, trusted_only, signed_only, two_person, creators FROM org WHERE name = $1;

-- name: SaveOrg
UPDATE org SET display = $2, trusted_only = $3, signed_only = $4, two_person = $5, creators = $6 WHERE id = $1;

-- name: Members
SELECT m.org, m.account, a.login, a.name, o.name, m.role, m.created_ms
FROM member m JOIN account a ON a.id = m.account JOIN org o ON o.id = m.org
WHERE m.org = $1 ORDER BY m.account;

-- name: Memberships
SELECT m.org, m.account, a.login, a.name, o.name, m.role, m.created_ms
FROM member m JOIN account a ON a.id = m.account JOIN org o ON o.id = m.org
WHERE m.account = $1 ORDER BY m.org;

-- name: Member
SELECT m.org, m.account, a.login, a.name, o.name, m.role, m.created_ms
FROM member m JOIN account a ON a.id = m.account JOIN org o ON o.id = m.org
WHERE m.org = $1 AND m.account = $2;

-- name: SetMember
INSERT INTO member (org, account, role, created_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (org, account) DO UPDATE SET role = excluded.role;

-- name: RemoveMember
DELETE FROM member WHERE org = $1 AND account = $2;

-- name: RemoveFromTeams
DELETE FROM team_member WHERE account = $2 AND team IN (SELECT id FROM team WHERE org = $1);

-- name: OtherOwners
SELECT COUNT(*) FROM member WHERE org = $1 AND account <> $2 AND role = 'owner';

-- name: AddTeam
INSERT INTO team (org, name, created_ms) VALUES ($1, $2, $3) ON CONFLICT (org, name) DO NOTHING RETURNING id;

-- name: Team
SELECT id, org, name, created_ms FROM team WHERE org = $1 AND name = $2;

-- name: Teams
SELECT id, org, name, created_ms FROM team WHERE org = $1 ORDER BY name;

-- name: RemoveTeam
DELETE FROM team WHERE id = $1;

-- name: RemoveTeamMembers
DELETE FROM team_member WHERE team = $1;

-- name: RemoveTeamGrants
DELETE FROM pkg_grant WHERE holder_kind = 'team' AND holder = $1;

-- name: AddTeamMember
-- Only a member of the organisation can be in its teams.
INSERT INTO team_member (team, account)
SELECT t.id, m.account FROM team t JOIN member m ON m.org = t.org WHERE t.id = $1 AND m.account = $2
ON CONFLICT (team, account) DO NOTHING;

-- name: RemoveTeamMember
DELETE FROM team_member WHERE team = $1 AND account = $2;

-- name: TeamMembers
SELECT a.id, a.login, a.name, a.email, a.avatar, a.admin, a.suspended_ms, a.suspended_why, a.password, a.created_ms
FROM team_member tm JOIN account a ON a.id = tm.account WHERE tm.team = $1 ORDER BY tm.account;

-- name: Namespace
SELECT n.name, n.actor, n.created_ms, n.owner_kind, n.owner, COALESCE(a.login, o.name, ''),
    COALESCE(o.trusted_only, FALSE), COALESCE(o.signed_only, FALSE), COALESCE(o.two_person, FALSE), COALESCE(o.creators, '')
FROM namespace n
LEFT JOIN account a ON n.owner_kind = 'account' AND a.id = n.owner
LEFT JOIN org o ON n.owner_kind = 'org' AND o.id = n.owner
WHERE n.name = $1;

-- name: NamespacesOf
SELECT n.name, n.actor, n.created_ms, n.owner_kind, n.owner, COALESCE(a.login, o.name, ''),
    COALESCE(o.trusted_only, FALSE), COALESCE(o.signed_only, FALSE), COALESCE(o.two_person, FALSE), COALESCE(o.creators, '')
FROM namespace n
LEFT JOIN account a ON n.owner_kind = 'account' AND a.id = n.owner
LEFT JOIN org o ON n.owner_kind = 'org' AND o.id = n.owner
WHERE n.owner_kind = $1 AND n.owner = $2 ORDER BY n.name;

-- name: Namespaces
SELECT n.name, n.actor, n.created_ms, n.owner_kind, n.owner, COALESCE(a.login, o.name, ''),
    COALESCE(o.trusted_only, FALSE), COALESCE(o.signed_only, FALSE), COALESCE(o.two_person, FALSE), COALESCE(o.creators, '')
FROM namespace n
LEFT JOIN account a ON n.owner_kind = 'account' AND a.id = n.owner
LEFT JOIN org o ON n.owner_kind = 'org' AND o.id = n.owner
WHERE n.name > $1 ORDER BY n.name LIMIT $2;

-- name: SetNamespaceOwner
UPDATE namespace SET owner_kind = $2, owner = $3 WHERE name = $1;

-- name: AddLikeness
INSERT INTO likeness (form, name) VALUES ($1, $2) ON CONFLICT (form, name) DO NOTHING;

-- name: DropLikeness
DELETE FROM likeness WHERE form = $1 AND name = $2;

-- name: LikeForm
SELECT name FROM likeness WHERE form = $1 AND name <> $2 LIMIT $3;

-- name: NamespacesWithoutLikeness
-- At start: what a release that knew nothing of likeness added.
SELECT n.name FROM namespace n WHERE NOT EXISTS (SELECT 1 FROM likeness l WHERE l.form = '@' || n.name AND l.name = n.name);

-- name: ReserveName
INSERT INTO reserved_name (name, why, actor, created_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET why = excluded.why, actor = excluded.actor, created_ms = excluded.created_ms;

-- name: ReleaseName
DELETE FROM reserved_name WHERE name = $1;

-- name: ReservedName
SELECT name, why, actor, created_ms FROM reserved_name WHERE name = $1;

-- name: ReservedNames
SELECT name, why, actor, created_ms FROM reserved_name WHERE name > $1 ORDER BY name LIMIT $2;

-- name: AddNamespaceRequest
INSERT INTO namespace_request (id, namespace, owner_kind, owner, account, why, state, decided_by, decided_why, created_ms, decided_ms)
VALUES ($1, $2, $3, $4, $5, $6, 'waiting', '', '', $7, 0);

-- name: NamespaceRequest
SELECT r.id, r.namespace, r.owner_kind, r.owner, r.account, COALESCE(a.login, ''), r.why, r.state, r.decided_by,
    r.decided_why, r.created_ms, r.decided_ms
FROM namespace_request r LEFT JOIN account a ON a.id = r.account WHERE r.id = $1;

-- name: NamespaceRequests
SELECT r.id, r.namespace, r.owner_kind, r.owner, r.account, COALESCE(a.login, ''), r.why, r.state, r.decided_by,
    r.decided_why, r.created_ms, r.decided_ms
FROM namespace_request r LEFT JOIN account a ON a.id = r.account
WHERE r.state = $1 ORDER BY r.created_ms DESC, r.id DESC LIMIT $2;

-- name: NamespaceRequestsOf
SELECT r.id, r.namespace, r.owner_kind, r.owner, r.account, COALESCE(a.login, ''), r.why, r.state, r.decided_by,
    r.decided_why, r.created_ms, r.decided_ms
FROM namespace_request r LEFT JOIN account a ON a.id = r.account
WHERE r.account = $1 ORDER BY r.created_ms DESC, r.id DESC LIMIT $2;

-- name: DecideNamespaceRequest
UPDATE namespace_request SET state = $2, decided_by = $3, decided_why = $4, decided_ms = $5
WHERE id = $1 AND state = 'waiting';
