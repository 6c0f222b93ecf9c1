-- name: AddManifest
INSERT INTO manifest (repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (repo, digest) DO NOTHING;

-- name: CountManifest
INSERT INTO repository (repo, manifests) VALUES ($1, 1)
ON CONFLICT (repo) DO UPDATE SET manifests = repository.manifests + 1;

-- name: UncountManifest
UPDATE repository SET manifests = manifests - 1 WHERE repo = $1;

-- name: Manifest
SELECT repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs
FROM manifest WHERE repo = $1 AND digest = $2;

-- name: Manifests
SELECT repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs
FROM manifest WHERE repo = $1 AND digest > $2 ORDER BY digest LIMIT $3;

-- name: ManifestsSince
SELECT repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs
FROM manifest WHERE pushed_ms >= $1;

-- name: DeleteManifest
DELETE FROM manifest WHERE repo = $1 AND digest = $2;

-- name: Referrers
SELECT repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs
FROM manifest WHERE repo = $1 AND subject = $2 AND subject <> '' AND digest > $3
ORDER BY digest LIMIT $4;

-- name: ReferrersByType
SELECT repo, digest, media_type, artifact_type, size_bytes, subject, pushed_ms, annotations, refs
FROM manifest WHERE repo = $1 AND subject = $2 AND subject <> '' AND artifact_type = $3 AND digest > $4
ORDER BY digest LIMIT $5;

-- name: PutTag
INSERT INTO tag (repo, tag, digest, media_type, size_bytes, updated_ms)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, tag) DO UPDATE
SET digest = excluded.digest, media_type = excluded.media_type,
    size_bytes = excluded.size_bytes, updated_ms = excluded.updated_ms;

-- name: Tag
SELECT repo, tag, digest, media_type, size_bytes, updated_ms FROM tag WHERE repo = $1 AND tag = $2;

-- name: Tags
SELECT repo, tag, digest, media_type, size_bytes, updated_ms
FROM tag WHERE repo = $1 AND tag > $2 ORDER BY tag LIMIT $3;

-- name: DeleteTag
DELETE FROM tag WHERE repo = $1 AND tag = $2;

-- name: DeleteTagsOf
DELETE FROM tag WHERE repo = $1 AND digest = $2;

-- name: Repos
SELECT repo FROM repository WHERE repo > $1 AND manifests > 0 ORDER BY repo LIMIT $2;

-- name: HasRepo
-- A claim outlives the derived tables.
SELECT EXISTS (SELECT 1 FROM repository WHERE repo = $1)
    OR EXISTS (SELECT 1 FROM claim WHERE repo = $1 AND committed_ms > 0);
