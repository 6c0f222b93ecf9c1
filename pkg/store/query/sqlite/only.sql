-- Statements that only SQLite understands.

-- name: QuickCheck
PRAGMA quick_check(10);

-- name: AuditPartSchema
-- What makes the table of a month like audit_part, with its indexes and
-- triggers: $1 is the month.
SELECT REPLACE(sql, 'audit_part', 'audit_' || $1) FROM sqlite_master
WHERE tbl_name = 'audit_part' AND sql IS NOT NULL ORDER BY rowid;

-- name: Columns
-- Of every table but goose's and the months of the audit log.
SELECT t.name, c.name,
    CASE UPPER(c.type) WHEN 'BLOB' THEN 'bytes' WHEN 'INTEGER' THEN 'bigint' ELSE LOWER(c.type) END,
    c."notnull" = 0 AND c.pk = 0
FROM sqlite_master t JOIN pragma_table_info(t.name) c
WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%' AND t.name NOT GLOB 'audit_[0-9]*'
ORDER BY t.name, c.name;

-- name: Sequences
-- The last number that each table gave.
SELECT name, seq FROM sqlite_sequence WHERE name NOT LIKE 'goose%' ORDER BY name;

-- name: SetSequence
INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq) VALUES ((SELECT rowid FROM sqlite_sequence WHERE name = $1), $1, $2);

-- name: LinksOfBuilds
-- The symbols are counted here: there may be a million, and nobody reads them.
SELECT digest, shared, sonames, json_array_length(symbols) FROM build_link
WHERE repo = $1 AND version_key = $2 ORDER BY digest;
