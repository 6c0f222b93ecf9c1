package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// roleOwner is the one role that the store knows by name: an organisation
// always has somebody who holds it.
const roleOwner = "owner"

func scanOrg(s scanner) (o Org, err error) {
	var created int64
	err = s.Scan(&o.ID, &o.Name, &o.Display, &created, &o.TrustedOnly, &o.SignedOnly, &o.TwoPerson, &o.Creators)
	o.Created = fromMS(created)
	return o, err
}

func scanMember(s scanner) (m Member, err error) {
	var created int64
	err = s.Scan(&m.Org, &m.Account, &m.Login, &m.Name, &m.OrgName, &m.Role, &created)
	m.Created = fromMS(created)
	return m, err
}

func scanTeam(s scanner) (t Team, err error) {
	var created int64
	err = s.Scan(&t.ID, &t.Org, &t.Name, &created)
	t.Created = fromMS(created)
	return t, err
}

// AddOrg makes an organisation whose first owner is an account, and returns it
// with its ID. A name that is taken is clyde.ErrConflict with code "org_taken".
func (db *DB) AddOrg(ctx context.Context, o Org, owner int64, audit AuditEntry) (_ Org, err error) {
	defer clyde.Wrap(&err, "store.AddOrg(%s)", o.Name)
	o.Created = fromMS(ms(db.or(o.Created)))
	err = db.audited(ctx, audit, func(tx *tx) error {
		err := tx.row("AddOrg", o.Name, o.Display, ms(o.Created), o.TrustedOnly, o.SignedOnly, o.TwoPerson, o.Creators).Scan(&o.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return clyde.Errorf(clyde.ErrConflict, "there is an organisation %s already", o.Name).WithCode("org_taken").Fix("Choose another name.")
		}
		if err != nil {
			return err
		}
		return tx.exec("SetMember", o.ID, owner, roleOwner, ms(o.Created))
	})
	return o, err
}

// Org returns an organisation, or clyde.ErrNotFound.
func (db *DB) Org(ctx context.Context, id int64) (Org, error) {
	return one(db.row(ctx, "Org", id), scanOrg, "there is no organisation %d", id)
}

// OrgByName returns an organisation, or clyde.ErrNotFound.
func (db *DB) OrgByName(ctx context.Context, name string) (Org, error) {
	return one(db.row(ctx, "OrgByName", name), scanOrg, "there is no organisation %q", name)
}

// SaveOrg sets the display name and the switches of the organisation o.ID.
func (db *DB) SaveOrg(ctx context.Context, o Org, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SaveOrg(%s)", o.Name)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no organisation %d", o.ID),
			"SaveOrg", o.ID, o.Display, o.TrustedOnly, o.SignedOnly, o.TwoPerson, o.Creators)
	})
}

// Members lists who belongs to an organisation, by account.
func (db *DB) Members(ctx context.Context, org int64) ([]Member, error) {
	return list(ctx, db, scanMember, "Members", org)
}

// Memberships lists what an account belongs to, by organisation.
func (db *DB) Memberships(ctx context.Context, account int64) ([]Member, error) {
	return list(ctx, db, scanMember, "Memberships", account)
}

// Member returns what an account is to an organisation, or clyde.ErrNotFound.
func (db *DB) Member(ctx context.Context, org, account int64) (Member, error) {
	return one(db.row(ctx, "Member", org, account), scanMember, "the account is no member")
}

// errLastOwner says why an owner must stay.
func errLastOwner() error {
	return clyde.Errorf(clyde.ErrConflict, "that would leave the organisation without an owner").WithCode("last_owner").
		Fix("Make somebody else an owner first.")
}

// keepOwner returns errLastOwner where account is the only owner.
func keepOwner(tx *tx, org, account int64) error {
	m, err := scanMember(tx.row("Member", org, account))
	if errors.Is(err, sql.ErrNoRows) || err == nil && m.Role != roleOwner {
		return nil
	}
	if err != nil {
		return err
	}
	var others int
	if err := tx.row("OtherOwners", org, account).Scan(&others); err != nil {
		return err
	}
	if others == 0 {
		return errLastOwner()
	}
	return nil
}

// SetMember gives an account a role in an organisation, new or other. It is
// clyde.ErrConflict with code "last_owner" where no owner would be left.
func (db *DB) SetMember(ctx context.Context, org, account int64, role string, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.SetMember(%d, %d)", org, account)
	return db.audited(ctx, audit, func(tx *tx) error {
		if role != roleOwner {
			if err := keepOwner(tx, org, account); err != nil {
				return err
			}
		}
		return tx.exec("SetMember", org, account, role, ms(db.now()))
	})
}

// RemoveMember ends a membership, in the organisation's teams too. Errors as
// for SetMember, and clyde.ErrNotFound.
func (db *DB) RemoveMember(ctx context.Context, org, account int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveMember(%d, %d)", org, account)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := keepOwner(tx, org, account); err != nil {
			return err
		}
		if err := tx.exec("RemoveFromTeams", org, account); err != nil {
			return err
		}
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the account is no member"), "RemoveMember", org, account)
	})
}

// AddTeam makes a team and returns it with its ID. A name that is taken is
// clyde.ErrConflict with code "team_taken".
func (db *DB) AddTeam(ctx context.Context, t Team, audit AuditEntry) (_ Team, err error) {
	defer clyde.Wrap(&err, "store.AddTeam(%s)", t.Name)
	t.Created = fromMS(ms(db.or(t.Created)))
	err = db.audited(ctx, audit, func(tx *tx) error {
		err := tx.row("AddTeam", t.Org, t.Name, ms(t.Created)).Scan(&t.ID)
		if errors.Is(err, sql.ErrNoRows) {
			return clyde.Errorf(clyde.ErrConflict, "there is a team %s already", t.Name).WithCode("team_taken")
		}
		return err
	})
	return t, err
}

// Team returns an organisation's team, or clyde.ErrNotFound.
func (db *DB) Team(ctx context.Context, org int64, name string) (Team, error) {
	return one(db.row(ctx, "Team", org, name), scanTeam, "there is no team %q", name)
}

// Teams lists an organisation's teams, by name.
func (db *DB) Teams(ctx context.Context, org int64) ([]Team, error) {
	return list(ctx, db, scanTeam, "Teams", org)
}

// RemoveTeam removes a team with its grants.
func (db *DB) RemoveTeam(ctx context.Context, team int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveTeam(%d)", team)
	return db.audited(ctx, audit, func(tx *tx) error {
		if err := tx.exec("RemoveTeamMembers", team); err != nil {
			return err
		}
		if err := tx.exec("RemoveTeamGrants", team); err != nil {
			return err
		}
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "there is no team %d", team), "RemoveTeam", team)
	})
}

// AddTeamMember puts a member of the organisation into a team; an account that
// is none, or is in it already, is clyde.ErrConflict.
func (db *DB) AddTeamMember(ctx context.Context, team, account int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.AddTeamMember(%d, %d)", team, account)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrConflict, "the account is in the team, or is no member of its organisation").WithCode("team_member"),
			"AddTeamMember", team, account)
	})
}

// RemoveTeamMember takes an account out of a team, or is clyde.ErrNotFound.
func (db *DB) RemoveTeamMember(ctx context.Context, team, account int64, audit AuditEntry) (err error) {
	defer clyde.Wrap(&err, "store.RemoveTeamMember(%d, %d)", team, account)
	return db.audited(ctx, audit, func(tx *tx) error {
		return mustAffect(tx, clyde.Errorf(clyde.ErrNotFound, "the account is not in the team"), "RemoveTeamMember", team, account)
	})
}

// TeamMembers lists the accounts of a team.
func (db *DB) TeamMembers(ctx context.Context, team int64) ([]Account, error) {
	return list(ctx, db, scanAccount, "TeamMembers", team)
}
