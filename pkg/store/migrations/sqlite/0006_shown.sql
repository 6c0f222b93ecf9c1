-- What lists of versions show besides the row: it was inside the large columns
-- of release, which a list does not read. Derived, and dropped with them.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE release_shown (
    repo        TEXT   NOT NULL,
    version_key TEXT   NOT NULL,
    upstream    TEXT   NOT NULL, -- upstream_version of package.yaml
    signer      TEXT   NOT NULL, -- who verified, or ''
    checked_ms  BIGINT NOT NULL, -- when the signatures were last looked at
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

-- When it was checked is not known of what there is; the rest is.
INSERT INTO release_shown (repo, version_key, upstream, signer, checked_ms)
SELECT repo, version_key,
       CASE WHEN json_valid(CAST(manifest AS TEXT))
            THEN COALESCE(json_extract(CAST(manifest AS TEXT), '$.upstream_version'), '') ELSE '' END,
       CASE WHEN signed = 'verified' AND json_valid(CAST(report AS TEXT))
            THEN COALESCE((SELECT json_extract(s.value, '$.keyName') || ' (' || json_extract(s.value, '$.keyFingerprint') || ')'
                           FROM json_each(CAST(report AS TEXT), '$.signatures') s
                           WHERE json_extract(s.value, '$.state') = 'verified' LIMIT 1), '') ELSE '' END,
       0
FROM release;

DROP VIEW release_view;

CREATE VIEW release_view AS
SELECT r.repo, r.version_key, r.version, r.digest, r.size_bytes, r.source, r.source_type, r.source_size,
       r.readme, r.published_ms, r.publisher, r.signed, r.state, r.headers,
       r.manifest, r.config_yaml, r.oci_manifest, r.report,
       COALESCE(y.reason, '') AS yank_reason, COALESCE(y.note, '') AS yank_note,
       COALESCE(y.actor, '') AS yank_actor, COALESCE(y.at_ms, 0) AS yank_ms,
       COALESCE(d.count, 0) AS downloads,
       COALESCE(w.upstream, '') AS upstream, COALESCE(w.signer, '') AS signer,
       COALESCE(w.checked_ms, 0) AS checked_ms
FROM release r
LEFT JOIN yank y ON y.repo = r.repo AND y.version_key = r.version_key
LEFT JOIN download_total d ON d.repo = r.repo AND d.version = r.version
LEFT JOIN release_shown w ON w.repo = r.repo AND w.version_key = r.version_key;

-- +goose StatementEnd
