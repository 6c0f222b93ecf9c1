-- name: AddStamp
INSERT INTO stamp (name, n) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET n = stamp.n + 1;

-- name: Stamp
SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM stamp WHERE name IN ($1, $2);

-- name: InitSecret
INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: Secret
SELECT value FROM meta WHERE name = $1;
