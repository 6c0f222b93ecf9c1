-- Members of the reports of signatures are written as those of the whole API,
-- with underscores. A quote inside a value has a backslash before it, so that
-- these are found as names alone.

-- +goose Up
-- +goose StatementBegin

UPDATE release SET report = convert_to(REPLACE(REPLACE(REPLACE(convert_from(report, 'UTF8'),
    '"keyFingerprint":', '"key_fingerprint":'), '"keyName":', '"key_name":'), '"predicateType":', '"predicate_type":'), 'UTF8')
WHERE length(report) > 0;

-- +goose StatementEnd
