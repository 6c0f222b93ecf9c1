-- name: SaveBuild
INSERT INTO build (repo, digest, version_key, tag, abi_id, os, arch, tree, tree_bytes, debug, debug_bytes, attached_ms, actor, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (repo, digest) DO UPDATE
SET version_key = excluded.version_key, tag = excluded.tag, abi_id = excluded.abi_id, os = excluded.os, arch = excluded.arch,
    tree = excluded.tree, tree_bytes = excluded.tree_bytes, debug = excluded.debug, debug_bytes = excluded.debug_bytes,
    attached_ms = excluded.attached_ms, actor = excluded.actor, facts = excluded.facts;

-- name: Builds
SELECT repo, digest, version_key, tag, abi_id, os, arch, tree, tree_bytes, debug, debug_bytes, attached_ms, actor, facts
FROM build WHERE repo = $1 AND version_key = $2 ORDER BY attached_ms, digest;

-- name: BuildsBetween
SELECT repo, digest, version_key, tag, abi_id, os, arch, tree, tree_bytes, debug, debug_bytes, attached_ms, actor, facts
FROM build WHERE repo > $1 AND repo <= $2 ORDER BY repo, version_key, attached_ms, digest;

-- name: Build
SELECT repo, digest, version_key, tag, abi_id, os, arch, tree, tree_bytes, debug, debug_bytes, attached_ms, actor, facts
FROM build WHERE repo = $1 AND digest = $2;

-- name: CountBuilds
-- Those of a version that are attached or being so: their claims begin with
-- its key and "_", which no version has.
SELECT COUNT(*) FROM claim WHERE repo = $1 AND version_key >= $2 AND version_key < $3;

-- name: BuildPlatforms
SELECT DISTINCT os, arch FROM build WHERE repo = $1 AND version_key = $2 ORDER BY os, arch;

-- name: EraseBuilds
DELETE FROM build WHERE repo = $1 AND version_key = $2;

-- name: DropBuildTable
DELETE FROM build;

-- name: SaveBuildLinks
INSERT INTO build_link (repo, digest, version_key, shared, sonames, symbols) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (repo, digest) DO UPDATE
SET version_key = excluded.version_key, shared = excluded.shared, sonames = excluded.sonames, symbols = excluded.symbols;

-- name: HasBuildLinks
SELECT EXISTS (SELECT 1 FROM build_link WHERE repo = $1 AND digest = $2);

-- name: BuildSONames
SELECT sonames FROM build_link WHERE repo = $1 AND version_key = $2 ORDER BY digest;

-- name: BuildSymbols
-- Of archives, where a build has any: what shared libraries export may be their
-- dependencies'.
SELECT repo, digest, version_key, shared, sonames, symbols FROM build_link
WHERE repo = $1 AND version_key = $2 ORDER BY shared, digest LIMIT 1;

-- name: EraseBuildLinks
DELETE FROM build_link WHERE repo = $1 AND version_key = $2;

-- name: DropBuildLinkTable
DELETE FROM build_link;

-- name: BuildAnnounced
SELECT EXISTS (SELECT 1 FROM change WHERE type = 'build.added' AND package = $1 AND digest = $2);

-- name: BuildPolicy
SELECT namespace, days, rebuilders FROM build_policy WHERE namespace = $1;

-- name: SetBuildPolicy
INSERT INTO build_policy (namespace, days, rebuilders) VALUES ($1, $2, $3)
ON CONFLICT (namespace) DO UPDATE SET days = excluded.days, rebuilders = excluded.rebuilders;

-- name: RemoveBuildPolicy
DELETE FROM build_policy WHERE namespace = $1;
