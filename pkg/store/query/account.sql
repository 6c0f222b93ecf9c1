-- name: AddToken
INSERT INTO token (id, hash, prefix, name, admin, scopes, created_ms, expires_ms, last_used_ms, revoked_ms,
    account, networks, run)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: TokenByHash
SELECT id, hash, prefix, name, admin, scopes, created_ms, expires_ms, last_used_ms, revoked_ms, account, networks, run
FROM token WHERE hash = $1;

-- name: Tokens
SELECT id, hash, prefix, name, admin, scopes, created_ms, expires_ms, last_used_ms, revoked_ms, account, networks, run
FROM token ORDER BY created_ms DESC, id DESC;

-- name: TokensOf
SELECT id, hash, prefix, name, admin, scopes, created_ms, expires_ms, last_used_ms, revoked_ms, account, networks, run
FROM token WHERE account = $1 AND account <> 0 ORDER BY created_ms DESC, id DESC;

-- name: Token
SELECT id, hash, prefix, name, admin, scopes, created_ms, expires_ms, last_used_ms, revoked_ms, account, networks, run
FROM token WHERE id = $1;

-- name: PurgeRunTokens
DELETE FROM token WHERE run <> '' AND expires_ms <= $1;

-- name: RevokeToken
-- The first revocation's time stands.
UPDATE token SET revoked_ms = CASE WHEN revoked_ms = 0 THEN $2 ELSE revoked_ms END WHERE id = $1;

-- name: TouchToken
UPDATE token SET last_used_ms = $2 WHERE id = $1 AND last_used_ms < $2;

-- name: AddKey
-- Registering a revoked key again puts it in force.
INSERT INTO public_key (namespace, fingerprint, name, pem, actor, created_ms, revoked_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (namespace, fingerprint) DO UPDATE
SET name = excluded.name, pem = excluded.pem, actor = excluded.actor,
    created_ms = excluded.created_ms, revoked_ms = excluded.revoked_ms;

-- name: Keys
SELECT namespace, name, pem, fingerprint, actor, created_ms, revoked_ms
FROM public_key WHERE namespace = $1 ORDER BY created_ms, fingerprint;

-- name: RevokeKey
UPDATE public_key SET revoked_ms = CASE WHEN revoked_ms = 0 THEN $3 ELSE revoked_ms END
WHERE namespace = $1 AND fingerprint = $2;

-- name: AddNamespace
INSERT INTO namespace (name, actor, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING;

-- name: HasNamespace
SELECT EXISTS (SELECT 1 FROM namespace WHERE name = $1);

-- name: PurgeIdempotency
DELETE FROM idempotency WHERE created_ms <= $1;

-- name: Idempotency
SELECT reply FROM idempotency WHERE principal = $1 AND key = $2 AND created_ms > $3;

-- name: AddIdempotency
INSERT INTO idempotency (principal, key, reply, created_ms) VALUES ($1, $2, $3, $4);
