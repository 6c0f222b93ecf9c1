-- Accounts, organisations and what they may do; the audit log by month. All of
-- it is our own. The release before this one runs on this schema: it sees new
-- columns, which have defaults, and tables it does not know.

-- +goose Up
-- +goose StatementBegin

CREATE TABLE account (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    login        TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    email        TEXT    NOT NULL,
    avatar       TEXT    NOT NULL, -- URL
    admin        BOOLEAN NOT NULL,
    suspended_ms BIGINT  NOT NULL,
    suspended_why TEXT   NOT NULL,
    password     TEXT    NOT NULL, -- PHC string, or '' for none
    created_ms   BIGINT  NOT NULL
);

-- An account is bound to the provider's identifier of a person, never to a login.
CREATE TABLE identity (
    issuer     TEXT   NOT NULL,
    subject    TEXT   NOT NULL, -- the number the provider gave
    account    BIGINT NOT NULL,
    login      TEXT   NOT NULL, -- there, when last seen
    created_ms BIGINT NOT NULL,
    used_ms    BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX identity_account ON identity (account, issuer, subject);

CREATE TABLE session (
    id         TEXT   NOT NULL PRIMARY KEY, -- public
    hash       BLOB   NOT NULL UNIQUE,      -- SHA-256 of the secret
    account    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    used_ms    BIGINT NOT NULL,
    proved_ms  BIGINT NOT NULL, -- last active sign in
    expires_ms BIGINT NOT NULL, -- whatever happens
    address    TEXT   NOT NULL,
    agent      TEXT   NOT NULL
);
CREATE INDEX session_account ON session (account, created_ms);
CREATE INDEX session_expires ON session (expires_ms);

CREATE TABLE device (
    hash       BLOB   NOT NULL PRIMARY KEY, -- SHA-256 of the device code
    user_code  TEXT   NOT NULL UNIQUE,
    token_name TEXT   NOT NULL,
    scopes     TEXT   NOT NULL, -- JSON
    token_ms   BIGINT NOT NULL, -- when the token is to expire
    state      TEXT   NOT NULL, -- waiting | approved | denied | done
    account    BIGINT NOT NULL, -- who decided
    address    TEXT   NOT NULL, -- who asked
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    polled_ms  BIGINT NOT NULL
);
CREATE INDEX device_expires ON device (expires_ms);

CREATE TABLE org (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL UNIQUE,
    display      TEXT    NOT NULL,
    created_ms   BIGINT  NOT NULL,
    trusted_only BOOLEAN NOT NULL, -- publish from CI with trusted publishing alone
    signed_only  BOOLEAN NOT NULL,
    two_person   BOOLEAN NOT NULL, -- ownership changes need a second owner
    creators     TEXT    NOT NULL  -- least role that may create packages
);

CREATE TABLE member (
    org        BIGINT NOT NULL,
    account    BIGINT NOT NULL,
    role       TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, account)
) WITHOUT ROWID;
CREATE INDEX member_account ON member (account, org, role);

CREATE TABLE team (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    org        BIGINT  NOT NULL,
    name       TEXT    NOT NULL,
    created_ms BIGINT  NOT NULL,
    UNIQUE (org, name)
);

CREATE TABLE team_member (
    team    BIGINT NOT NULL,
    account BIGINT NOT NULL,
    PRIMARY KEY (team, account)
) WITHOUT ROWID;
CREATE INDEX team_member_account ON team_member (account, team);

ALTER TABLE namespace ADD COLUMN owner_kind TEXT NOT NULL DEFAULT ''; -- '' | account | org
ALTER TABLE namespace ADD COLUMN owner BIGINT NOT NULL DEFAULT 0;
CREATE INDEX namespace_owner ON namespace (owner_kind, owner, name);

-- What a name looks like, and that with each one letter left out: two names
-- that are alike or one edit apart share a row's form.
CREATE TABLE likeness (
    form TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (form, name)
) WITHOUT ROWID;

CREATE TABLE pkg_grant (
    pattern     TEXT   NOT NULL, -- "acme/zlib" or "acme/*"
    holder_kind TEXT   NOT NULL, -- account | team
    holder      BIGINT NOT NULL,
    namespace   TEXT   NOT NULL, -- of pattern
    role        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (pattern, holder_kind, holder)
) WITHOUT ROWID;
CREATE INDEX pkg_grant_holder ON pkg_grant (holder_kind, holder, pattern, role);
CREATE INDEX pkg_grant_namespace ON pkg_grant (namespace, pattern);

-- A package that was handed to somebody other than its namespace's owner.
CREATE TABLE package_owner (
    repo       TEXT   NOT NULL PRIMARY KEY,
    namespace  TEXT   NOT NULL,
    owner_kind TEXT   NOT NULL,
    owner      BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX package_owner_owner ON package_owner (owner_kind, owner, repo);
CREATE INDEX package_owner_namespace ON package_owner (namespace, repo);

CREATE TABLE invitation (
    id         TEXT   NOT NULL PRIMARY KEY,
    org        BIGINT NOT NULL, -- 0 when pattern is given
    pattern    TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    account    BIGINT NOT NULL, -- invited
    actor      TEXT   NOT NULL,
    inviter    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX invitation_account ON invitation (account, created_ms);
CREATE INDEX invitation_org ON invitation (org, created_ms);
CREATE INDEX invitation_pattern ON invitation (pattern, created_ms);

CREATE TABLE transfer (
    id         TEXT   NOT NULL PRIMARY KEY,
    pattern    TEXT   NOT NULL, -- "acme/zlib", or "acme/*": the namespace
    namespace  TEXT   NOT NULL,
    to_kind    TEXT   NOT NULL,
    to_owner   BIGINT NOT NULL,
    asked_by   BIGINT NOT NULL,
    state      TEXT   NOT NULL, -- waiting | done | declined | cancelled
    decided_by BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX transfer_to ON transfer (to_kind, to_owner, state, created_ms);
CREATE INDEX transfer_namespace ON transfer (namespace, state, created_ms);

-- A change of ownership that waits for a second owner.
CREATE TABLE confirmation (
    id           TEXT   NOT NULL PRIMARY KEY,
    org          BIGINT NOT NULL,
    kind         TEXT   NOT NULL,
    payload      TEXT   NOT NULL, -- JSON
    asked_by     BIGINT NOT NULL,
    confirmed_by BIGINT NOT NULL,
    state        TEXT   NOT NULL, -- waiting | done | declined
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL
);
CREATE INDEX confirmation_org ON confirmation (org, state, created_ms);

CREATE TABLE namespace_request (
    id          TEXT   NOT NULL PRIMARY KEY,
    namespace   TEXT   NOT NULL,
    owner_kind  TEXT   NOT NULL,
    owner       BIGINT NOT NULL,
    account     BIGINT NOT NULL, -- who asks
    why         TEXT   NOT NULL,
    state       TEXT   NOT NULL, -- waiting | granted | refused
    decided_by  TEXT   NOT NULL,
    decided_why TEXT   NOT NULL,
    created_ms  BIGINT NOT NULL,
    decided_ms  BIGINT NOT NULL
);
CREATE INDEX namespace_request_state ON namespace_request (state, created_ms, id);
CREATE INDEX namespace_request_account ON namespace_request (account, created_ms, id);

CREATE TABLE reserved_name (
    name       TEXT   NOT NULL PRIMARY KEY,
    why        TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
) WITHOUT ROWID;

-- Trusted publishers: which CI run may publish a package.
CREATE TABLE publisher (
    id         TEXT   NOT NULL PRIMARY KEY,
    namespace  TEXT   NOT NULL,
    base       TEXT   NOT NULL,
    provider   TEXT   NOT NULL, -- github | gitlab | forgejo | oidc
    issuer     TEXT   NOT NULL,
    claims     TEXT   NOT NULL, -- JSON: what each claim must be
    actor      TEXT   NOT NULL,
    account    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL, -- of a pending one; 0 once the package exists
    used_ms    BIGINT NOT NULL
);
CREATE INDEX publisher_package ON publisher (namespace, base, created_ms);
CREATE INDEX publisher_issuer ON publisher (issuer, namespace, base);

CREATE TABLE jti (
    issuer     TEXT   NOT NULL,
    hash       BLOB   NOT NULL, -- SHA-256 of the token's jti
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (issuer, hash)
) WITHOUT ROWID;
CREATE INDEX jti_expires ON jti (expires_ms);

ALTER TABLE token ADD COLUMN account BIGINT NOT NULL DEFAULT 0; -- 0: of the instance
ALTER TABLE token ADD COLUMN networks TEXT NOT NULL DEFAULT ''; -- JSON array of prefixes
ALTER TABLE token ADD COLUMN run TEXT NOT NULL DEFAULT '';      -- JSON: the CI run it was made for
CREATE INDEX token_account ON token (account, created_ms, id);
CREATE INDEX token_expires ON token (expires_ms) WHERE run <> '';

-- Who published a release, and what CI run did.
CREATE TABLE publication (
    repo        TEXT   NOT NULL,
    version_key TEXT   NOT NULL,
    account     BIGINT NOT NULL,
    token       TEXT   NOT NULL, -- its ID
    run         TEXT   NOT NULL, -- JSON, or ''
    created_ms  BIGINT NOT NULL,
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

CREATE TABLE moderation (
    repo        TEXT   NOT NULL,
    version_key TEXT   NOT NULL, -- '' is every version
    state       TEXT   NOT NULL, -- quarantined | removed | erased
    reason      TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (repo, version_key)
) WITHOUT ROWID;

CREATE TABLE report (
    id          TEXT   NOT NULL PRIMARY KEY,
    repo        TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    kind        TEXT   NOT NULL, -- malware | secret | squatting | other
    note        TEXT   NOT NULL,
    account     BIGINT NOT NULL,
    actor       TEXT   NOT NULL,
    state       TEXT   NOT NULL, -- open | closed
    decided_by  TEXT   NOT NULL,
    decided     TEXT   NOT NULL,
    created_ms  BIGINT NOT NULL,
    decided_ms  BIGINT NOT NULL
);
CREATE INDEX report_state ON report (state, created_ms, id);
CREATE INDEX report_repo ON report (repo, created_ms, id);

-- The audit log is a table for each month, audit_202601, made like audit_part,
-- which stays empty. Retention drops a whole month once it is in a file; its
-- row here stays and keeps the chain of hashes whole. The table audit is what
-- earlier releases wrote: what they add is taken over at the next start.
CREATE TABLE audit_part (
    seq       INTEGER NOT NULL PRIMARY KEY,
    at_ms     BIGINT  NOT NULL,
    actor     TEXT    NOT NULL,
    account   BIGINT  NOT NULL,
    token     TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    resource  TEXT    NOT NULL,
    scope     TEXT    NOT NULL, -- "@acme", "org:acme" or ''
    detail    TEXT    NOT NULL, -- JSON
    before    TEXT    NOT NULL, -- JSON or ''
    after     TEXT    NOT NULL, -- JSON or ''
    prev      TEXT    NOT NULL, -- hash of the entry before, hex
    hash      TEXT    NOT NULL
);
CREATE INDEX audit_part_actor ON audit_part (actor, seq);
CREATE INDEX audit_part_account ON audit_part (account, seq);
CREATE INDEX audit_part_action ON audit_part (action, seq);
CREATE INDEX audit_part_resource ON audit_part (resource, seq);
CREATE INDEX audit_part_scope ON audit_part (scope, seq);

CREATE TABLE audit_month (
    month      TEXT   NOT NULL PRIMARY KEY, -- "202601"
    first_seq  BIGINT NOT NULL,
    last_seq   BIGINT NOT NULL,
    prev       TEXT   NOT NULL, -- hash before its first entry
    hash       TEXT   NOT NULL, -- of its last entry
    from_ms    BIGINT NOT NULL,
    to_ms      BIGINT NOT NULL,
    dropped_ms BIGINT NOT NULL  -- 0 while its table is there
) WITHOUT ROWID;

CREATE TRIGGER audit_part_no_update BEFORE UPDATE ON audit_part
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_part_no_delete BEFORE DELETE ON audit_part
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;

-- +goose StatementEnd
