-- Statements that only Postgres understands.

-- name: AuditPartSchema
-- What makes the table of a month like audit_part, with its indexes and its
-- trigger: $1 is the month.
SELECT 'CREATE TABLE audit_' || $1 || ' (LIKE audit_part INCLUDING ALL)'
UNION ALL
SELECT 'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_' || $1
    || ' FOR EACH STATEMENT EXECUTE FUNCTION append_only()';

-- name: Columns
-- Of every table but goose's and the months of the audit log.
SELECT c.table_name, c.column_name,
    CASE c.data_type WHEN 'bytea' THEN 'bytes' ELSE c.data_type END, c.is_nullable = 'YES'
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'
WHERE c.table_schema = current_schema() AND c.table_name NOT LIKE 'goose%' AND c.table_name !~ '^audit_[0-9]'
ORDER BY c.table_name, c.column_name;

-- name: Lock
SELECT pg_advisory_lock(hashtextextended($1, 0)) IS NOT NULL;

-- name: TryLock
SELECT pg_try_advisory_lock(hashtextextended($1, 0));

-- name: Unlock
SELECT pg_advisory_unlock(hashtextextended($1, 0));

-- name: SpendBucket
-- A bucket fills at $5 millionths a second up to $3, and what is taken beyond is
-- owed, up to a whole bucket. An hour fills any.
INSERT INTO bucket (kind, caller, micro, at_ms) VALUES ($1, $2, GREATEST($3::BIGINT - $4::BIGINT, -$3::BIGINT), $6)
ON CONFLICT (kind, caller) DO UPDATE SET
    micro = GREATEST(LEAST(bucket.micro + LEAST(GREATEST(excluded.at_ms - bucket.at_ms, 0), 3600000) * $5::BIGINT / 1000, $3::BIGINT) - $4::BIGINT, -$3::BIGINT),
    at_ms = GREATEST(excluded.at_ms, bucket.at_ms)
RETURNING micro;

-- name: PurgeBuckets
DELETE FROM bucket WHERE at_ms < $1;

-- name: LockShared
SELECT pg_advisory_lock_shared(hashtextextended($1, 0)) IS NOT NULL;

-- name: UnlockShared
SELECT pg_advisory_unlock_shared(hashtextextended($1, 0));

-- name: Sequences
-- The last number that each table gave.
SELECT c.table_name, s.last_value
FROM information_schema.columns c
JOIN pg_sequences s ON format('%I.%I', s.schemaname, s.sequencename) = pg_get_serial_sequence(format('%I.%I', c.table_schema, c.table_name), c.column_name)
WHERE c.table_schema = current_schema() AND c.is_identity = 'YES' AND c.table_name NOT LIKE 'goose%' AND s.last_value IS NOT NULL
ORDER BY c.table_name;

-- name: SetSequence
SELECT setval(pg_get_serial_sequence(format('%I.%I', c.table_schema, c.table_name), c.column_name), $2)
FROM information_schema.columns c
WHERE c.table_schema = current_schema() AND c.is_identity = 'YES' AND c.table_name = $1;

-- name: LinksOfBuilds
-- The symbols are counted here: there may be a million, and nobody reads them.
SELECT digest, shared, sonames, json_array_length(symbols::json) FROM build_link
WHERE repo = $1 AND version_key = $2 ORDER BY digest;
