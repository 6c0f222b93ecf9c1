-- name: PublicRepos
-- Those that hold something, are not private, and of which nothing is withdrawn
-- or waits for a signature.
SELECT r.repo FROM repository r
WHERE r.repo > $1 AND r.manifests > 0
  AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.repo = r.repo AND s.private)
  AND NOT EXISTS (SELECT 1 FROM moderation m WHERE m.repo = r.repo)
  AND NOT EXISTS (SELECT 1 FROM held h WHERE h.repo = r.repo AND h.released_ms = 0)
ORDER BY r.repo LIMIT $2;

-- name: IsPublic
-- Whether PublicRepos has it.
SELECT EXISTS (SELECT 1 FROM repository r
    WHERE r.repo = $1 AND r.manifests > 0
      AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.repo = r.repo AND s.private)
      AND NOT EXISTS (SELECT 1 FROM moderation m WHERE m.repo = r.repo)
      AND NOT EXISTS (SELECT 1 FROM held h WHERE h.repo = r.repo AND h.released_ms = 0));
