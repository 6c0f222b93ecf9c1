-- name: AddAccount
-- No row comes back when the login is taken.
INSERT INTO account (login, name, email, avatar, admin, suspended_ms, suspended_why, password, created_ms)
VALUES ($1, $2, $3, $4, $5, 0, '', $6, $7)
ON CONFLICT (login) DO NOTHING RETURNING id;

-- name: Account
SELECT id, login, name, email, avatar, admin, suspended_ms, suspended_why, password, created_ms
FROM account WHERE id = $1;

-- name: AccountByLogin
SELECT id, login, name, email, avatar, admin, suspended_ms, suspended_why, password, created_ms
FROM account WHERE login = $1;

-- name: Accounts
SELECT id, login, name, email, avatar, admin, suspended_ms, suspended_why, password, created_ms
FROM account WHERE login > $1 ORDER BY login LIMIT $2;

-- name: SaveProfile
UPDATE account SET name = $2, email = $3, avatar = $4 WHERE id = $1;

-- name: SetPassword
UPDATE account SET password = $2 WHERE id = $1;

-- name: SetAccountAdmin
UPDATE account SET admin = $2 WHERE id = $1;

-- name: SuspendAccount
UPDATE account SET suspended_ms = $2, suspended_why = $3 WHERE id = $1;

-- name: AddIdentity
INSERT INTO identity (issuer, subject, account, login, created_ms, used_ms) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (issuer, subject) DO NOTHING;

-- name: Identity
SELECT issuer, subject, account, login, created_ms, used_ms FROM identity WHERE issuer = $1 AND subject = $2;

-- name: Identities
SELECT issuer, subject, account, login, created_ms, used_ms
FROM identity WHERE account = $1 ORDER BY issuer, subject;

-- name: TouchIdentity
UPDATE identity SET login = $3, used_ms = $4 WHERE issuer = $1 AND subject = $2;

-- name: RemoveIdentity
DELETE FROM identity WHERE issuer = $1 AND subject = $2 AND account = $3;

-- name: AddSession
INSERT INTO session (id, hash, account, created_ms, used_ms, proved_ms, expires_ms, address, agent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: SessionByHash
SELECT id, hash, account, created_ms, used_ms, proved_ms, expires_ms, address, agent FROM session WHERE hash = $1;

-- name: Sessions
SELECT id, hash, account, created_ms, used_ms, proved_ms, expires_ms, address, agent
FROM session WHERE account = $1 ORDER BY created_ms DESC;

-- name: RotateSession
UPDATE session SET hash = $3, proved_ms = $4, used_ms = $4, address = $5, agent = $6 WHERE id = $1 AND hash = $2;

-- name: TouchSession
UPDATE session SET used_ms = $2, address = $3 WHERE id = $1 AND used_ms < $2;

-- name: DeleteSession
DELETE FROM session WHERE id = $1 AND account = $2;

-- name: DeleteSessions
DELETE FROM session WHERE account = $1 AND id <> $2;

-- name: PurgeSessions
DELETE FROM session WHERE expires_ms <= $1;

-- name: AddDevice
INSERT INTO device (hash, user_code, token_name, scopes, token_ms, state, account, address, created_ms, expires_ms, polled_ms)
VALUES ($1, $2, $3, $4, $5, 'waiting', 0, $6, $7, $8, 0);

-- name: Device
SELECT hash, user_code, token_name, scopes, token_ms, state, account, address, created_ms, expires_ms, polled_ms
FROM device WHERE hash = $1;

-- name: DeviceByUserCode
SELECT hash, user_code, token_name, scopes, token_ms, state, account, address, created_ms, expires_ms, polled_ms
FROM device WHERE user_code = $1;

-- name: DecideDevice
UPDATE device SET state = $2, account = $3 WHERE user_code = $1 AND state = 'waiting' AND expires_ms > $4;

-- name: PollDevice
UPDATE device SET polled_ms = $2 WHERE hash = $1;

-- name: FinishDevice
UPDATE device SET state = 'done' WHERE hash = $1 AND state = 'approved' AND expires_ms > $2;

-- name: PurgeDevices
DELETE FROM device WHERE expires_ms <= $1;
