package api

import (
	"context"
	"time"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// Team is a group of members that rights are granted to at once.
type Team struct {
	Name    string    `json:"name" doc:"within the organisation" example:"release"`
	Created time.Time `json:"created_at"`
}

// TeamList are an organisation's teams, by name.
type TeamList struct {
	Items []Team `json:"items"`
}

// TeamRequest makes a team.
type TeamRequest struct {
	Name string `json:"name" minLength:"2" maxLength:"64" doc:"a-z and 0-9, with single - between them"`
}

// Person is what anybody may know of an account.
type Person struct {
	Login string `json:"login" doc:"unique here"`
	Name  string `json:"name" doc:"for people; empty: the login"`
}

// PersonList are accounts, by login.
type PersonList struct {
	Items []Person `json:"items"`
}

// TeamPath names a team.
type TeamPath struct {
	OrgPath
	Team string `path:"team" maxLength:"64" doc:"Name of the team." example:"release"`
}

// TeamMemberPath names somebody in a team.
type TeamMemberPath struct {
	TeamPath
	LoginPath
}

type (
	teamsOutput   struct{ Body TeamList }
	teamOutput    struct{ Body Team }
	peopleOutput  struct{ Body PersonList }
	makeTeamInput struct {
		OrgPath
		Body TeamRequest
	}
)

func teamView(t store.Team) Team { return Team{Name: t.Name, Created: t.Created} }

func (s *server) teams() {
	const at = base + "/orgs/{org}/teams"
	add(s, operation{
		id: "list-teams", method: "GET", path: at, tag: "organisations", summary: "List teams", token: true, errors: []int{404},
		about: "An organisation's teams, for its members.",
	}, func(ctx context.Context, in *OrgPath) (*teamsOutput, error) {
		ts, err := s.Accounts.Teams(ctx, callOf(ctx).who, in.Org)
		return &teamsOutput{TeamList{each(ts, teamView)}}, err
	})
	add(s, operation{
		id: "create-team", method: "POST", path: at, tag: "organisations", summary: "Make a team", token: true, status: 201, errors: writing,
		about: "Makes a team without members. For owners who signed in.",
	}, func(ctx context.Context, in *makeTeamInput) (*teamOutput, error) {
		t, err := s.Accounts.CreateTeam(ctx, callOf(ctx).who, in.Org, in.Body.Name)
		return &teamOutput{teamView(t)}, err
	})
	add(s, operation{
		id: "remove-team", method: "DELETE", path: at + "/{team}", tag: "organisations", summary: "Remove a team", token: true, errors: []int{404},
		about: "Removes a team with everything that was granted to it. For owners who signed in.",
	}, func(ctx context.Context, in *TeamPath) (*struct{}, error) {
		return nil, s.Accounts.RemoveTeam(ctx, callOf(ctx).who, in.Org, in.Team)
	})
	add(s, operation{
		id: "list-team-members", method: "GET", path: at + "/{team}/members", tag: "organisations", summary: "List who is in a team", token: true, errors: []int{404},
		about: "A team's members, for members of the organisation.",
	}, func(ctx context.Context, in *TeamPath) (*peopleOutput, error) {
		as, err := s.Accounts.TeamMembers(ctx, callOf(ctx).who, in.Org, in.Team)
		return &peopleOutput{PersonList{each(as, func(a store.Account) Person { return Person{Login: a.Login, Name: a.Name} })}}, err
	})
	add(s, operation{
		id: "add-to-team", method: "PUT", path: at + "/{team}/members/{login}", tag: "organisations", summary: "Put a member into a team", token: true, status: 204, errors: []int{404, 409},
		about: "Puts a member of the organisation into a team. For owners who signed in.",
	}, func(ctx context.Context, in *TeamMemberPath) (*struct{}, error) {
		return nil, s.Accounts.AddToTeam(ctx, callOf(ctx).who, in.Org, in.Team, in.Login)
	})
	add(s, operation{
		id: "remove-from-team", method: "DELETE", path: at + "/{team}/members/{login}", tag: "organisations", summary: "Take a member out of a team", token: true, errors: []int{404},
		about: "Takes somebody out of a team, who stays in the organisation. For owners who signed in.",
	}, func(ctx context.Context, in *TeamMemberPath) (*struct{}, error) {
		return nil, s.Accounts.RemoveFromTeam(ctx, callOf(ctx).who, in.Org, in.Team, in.Login)
	})
}
