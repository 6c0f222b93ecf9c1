-- name: SavePackage
INSERT INTO package (repo, base, identity, latest, created_ms, updated_ms, versions, signed, doc)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (repo) DO UPDATE
SET base = excluded.base, identity = excluded.identity, latest = excluded.latest, created_ms = excluded.created_ms,
    updated_ms = excluded.updated_ms, versions = excluded.versions, signed = excluded.signed, doc = excluded.doc;

-- name: PackageCreated
SELECT created_ms FROM package WHERE repo = $1;

-- name: Package
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE repo = $1;

-- name: PackageByIdentity
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE identity = $1 ORDER BY repo LIMIT 1;

-- name: Packages
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE repo > $1 ORDER BY repo LIMIT $2;

-- name: PackagesByBase
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE base = $1 ORDER BY repo LIMIT $2;

-- name: PackagesByPrefix
-- Bare names from $1 on and before $2.
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE base >= $1 AND base < $2 ORDER BY base, repo LIMIT $3;

-- name: Hydrate
-- hydrateChunk names at once; the unused ones are ''.
SELECT repo, latest, doc, created_ms, updated_ms, versions, private, signed, downloads, deprecated, replaced_by
FROM package_view WHERE repo IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
    $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25);

-- name: Setting
SELECT repo, private, deprecated, replaced_by FROM setting WHERE repo = $1;

-- name: SaveSetting
INSERT INTO setting (repo, private, deprecated, replaced_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (repo) DO UPDATE
SET private = excluded.private, deprecated = excluded.deprecated, replaced_by = excluded.replaced_by;

-- name: VisibleReleases
-- What the package adds to the public counts: nothing while it is private, and
-- no version that is withdrawn, or waits for signatures.
SELECT COUNT(*) FROM release r WHERE r.repo = $1 AND r.state = 'visible'
  AND NOT EXISTS (SELECT 1 FROM moderation m WHERE m.repo = $1 AND m.version_key IN (r.version_key, ''))
  AND NOT EXISTS (SELECT 1 FROM held h WHERE h.repo = $1 AND h.digest = r.digest AND h.released_ms = 0)
  AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.repo = $1 AND s.private);

-- name: AddCounter
INSERT INTO counter (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value;

-- name: Counters
SELECT name, value FROM counter;

-- name: PublicPackages
-- A window of what anybody may see, for sitemaps: as far as the window begins,
-- the key is walked.
SELECT repo, updated_ms FROM package_view WHERE NOT private AND latest <> '' ORDER BY repo LIMIT $1 OFFSET $2;
