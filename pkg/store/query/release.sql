-- name: SaveRelease
INSERT INTO release (repo, version_key, version, digest, size_bytes, source, source_type, source_size, readme,
    published_ms, publisher, signed, state, headers, manifest, config_yaml, oci_manifest, report)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (repo, version_key) DO UPDATE
SET version = excluded.version, digest = excluded.digest, size_bytes = excluded.size_bytes, source = excluded.source,
    source_type = excluded.source_type, source_size = excluded.source_size, readme = excluded.readme,
    published_ms = excluded.published_ms, publisher = excluded.publisher, signed = excluded.signed,
    state = excluded.state, headers = excluded.headers, manifest = excluded.manifest,
    config_yaml = excluded.config_yaml, oci_manifest = excluded.oci_manifest, report = excluded.report;

-- name: Releases
SELECT repo, version_key, version, digest, size_bytes, source, source_type, source_size, readme, published_ms,
    publisher, signed,
    COALESCE((SELECT m.state FROM moderation m WHERE m.repo = release_view.repo AND m.version_key IN (release_view.version_key, '')
        ORDER BY m.version_key DESC LIMIT 1),
        (SELECT 'pending' FROM held h WHERE h.repo = release_view.repo AND h.digest = release_view.digest AND h.released_ms = 0), state), headers, yank_reason, yank_note, yank_actor, yank_ms, downloads,
    upstream, signer, checked_ms
FROM release_view WHERE repo = $1 ORDER BY published_ms DESC, version_key DESC;

-- name: ReleaseEditions
SELECT r.version, r.published_ms,
    COALESCE((SELECT m.state FROM moderation m WHERE m.repo = r.repo AND m.version_key IN (r.version_key, '')
        ORDER BY m.version_key DESC LIMIT 1),
        (SELECT 'pending' FROM held h WHERE h.repo = r.repo AND h.digest = r.digest AND h.released_ms = 0), r.state),
    COALESCE(y.reason, '')
FROM release r LEFT JOIN yank y ON y.repo = r.repo AND y.version_key = r.version_key
WHERE r.repo = $1;

-- name: ReleaseManifests
SELECT version_key, manifest FROM release WHERE repo = $1;

-- name: ReleaseByVersion
SELECT repo, version_key, version, digest, size_bytes, source, source_type, source_size, readme, published_ms,
    publisher, signed,
    COALESCE((SELECT m.state FROM moderation m WHERE m.repo = release_view.repo AND m.version_key IN (release_view.version_key, '')
        ORDER BY m.version_key DESC LIMIT 1),
        (SELECT 'pending' FROM held h WHERE h.repo = release_view.repo AND h.digest = release_view.digest AND h.released_ms = 0), state), headers, yank_reason, yank_note, yank_actor, yank_ms, downloads,
    upstream, signer, checked_ms, manifest, config_yaml, oci_manifest, report
FROM release_view WHERE repo = $1 AND version_key = $2;

-- name: ReleaseByDigest
SELECT repo, version_key, version, digest, size_bytes, source, source_type, source_size, readme, published_ms,
    publisher, signed,
    COALESCE((SELECT m.state FROM moderation m WHERE m.repo = release_view.repo AND m.version_key IN (release_view.version_key, '')
        ORDER BY m.version_key DESC LIMIT 1),
        (SELECT 'pending' FROM held h WHERE h.repo = release_view.repo AND h.digest = release_view.digest AND h.released_ms = 0), state), headers, yank_reason, yank_note, yank_actor, yank_ms, downloads,
    upstream, signer, checked_ms, manifest, config_yaml, oci_manifest, report
FROM release_view WHERE repo = $1 AND digest = $2 ORDER BY version_key LIMIT 1;

-- name: SetVerification
UPDATE release SET signed = $3, report = $4 WHERE repo = $1 AND version_key = $2;

-- name: SaveShown
INSERT INTO release_shown (repo, version_key, upstream, signer, checked_ms) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (repo, version_key) DO UPDATE
SET upstream = excluded.upstream, signer = excluded.signer, checked_ms = excluded.checked_ms;

-- name: SetChecked
UPDATE release_shown SET signer = $3, checked_ms = $4 WHERE repo = $1 AND version_key = $2;

-- name: SetReleaseState
UPDATE release SET state = $3 WHERE repo = $1 AND version_key = $2;

-- name: HasRelease
-- Derived or, while the derived tables are being rebuilt, claimed.
SELECT EXISTS (SELECT 1 FROM release WHERE repo = $1 AND version_key = $2)
    OR EXISTS (SELECT 1 FROM claim WHERE repo = $1 AND version_key = $2 AND committed_ms > 0);

-- name: SetYank
INSERT INTO yank (repo, version_key, reason, note, actor, at_ms) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, version_key) DO UPDATE
SET reason = excluded.reason, note = excluded.note, actor = excluded.actor, at_ms = excluded.at_ms;

-- name: Unyank
DELETE FROM yank WHERE repo = $1 AND version_key = $2;

-- name: DropRequirements
DELETE FROM requirement WHERE repo = $1 AND version_key = $2;

-- name: AddRequirement
INSERT INTO requirement (repo, version_key, kind, target, version, version_range, optional, latest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (repo, version_key, kind, target) DO UPDATE
SET version = excluded.version, version_range = excluded.version_range,
    optional = excluded.optional, latest = excluded.latest;

-- name: MarkLatest
UPDATE requirement SET latest = (version = $2) WHERE repo = $1 AND latest <> (version = $2);

-- name: Requirements
SELECT repo, version_key, version, kind, target, version_range, optional, latest
FROM requirement WHERE repo = $1 AND version_key = $2 ORDER BY kind, target;

-- name: Dependents
SELECT repo, version_key, version, kind, target, version_range, optional, latest
FROM requirement WHERE target = $1 AND kind = 'requires' AND latest AND repo > $2
ORDER BY repo LIMIT $3;

-- name: DependentsOfAll
-- hydrateChunk targets at once; the unused ones are ''.
SELECT repo, version_key, version, kind, target, version_range, optional, latest
FROM requirement WHERE target IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
  AND kind = 'requires' AND latest
ORDER BY target, repo LIMIT $26;

-- name: ReleaseFacts
SELECT headers, manifest FROM release WHERE repo = $1 AND version_key = $2;

-- name: CountDependents
SELECT COUNT(*) FROM requirement q WHERE q.target = $1 AND q.kind = 'requires' AND q.latest
  AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.repo = q.repo AND s.private);

-- name: DependentCounts
-- CountDependents of every package at once, for rebuilding the search index.
SELECT q.target, COUNT(*) FROM requirement q WHERE q.kind = 'requires' AND q.latest
  AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.repo = q.repo AND s.private)
GROUP BY q.target;

-- name: EraseRelease
DELETE FROM release WHERE repo = $1 AND version_key = $2;

-- name: EraseShown
DELETE FROM release_shown WHERE repo = $1 AND version_key = $2;
