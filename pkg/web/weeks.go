package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/clydepm/clyde-registry/pkg/catalog"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// shownWeeks is how far back the line of pulls goes: a quarter of a year.
const shownWeeks = 13

// weeks is how often people pulled a package in each of the last weeks, the
// current one last.
type weeks struct {
	Counts [shownWeeks]int64
	Total  int64
}

// The picture is drawn in units of these.
const (
	sparkWidth  = 240
	sparkHeight = 40
)

// Line is the path of the counts, from left to right.
func (w weeks) Line() string {
	top := int64(1)
	for _, n := range w.Counts {
		top = max(top, n)
	}
	var b strings.Builder
	for i, n := range w.Counts {
		y := sparkHeight - 2 - int(n*(sparkHeight-4)/top)
		fmt.Fprintf(&b, "%c%d %d", "ML"[min(i, 1)], i*sparkWidth/(shownWeeks-1), y)
	}
	return b.String()
}

// Area is Line, closed at the bottom.
func (w weeks) Area() string {
	return fmt.Sprintf("%sL%d %dL0 %[3]dZ", w.Line(), sparkWidth, sparkHeight)
}

// Words tells the line to who does not see it.
func (w weeks) Words() string {
	return fmt.Sprintf("Pulls by people in the last %d weeks: %s in all, %s in the last", shownWeeks, count(w.Total), count(w.Counts[shownWeeks-1]))
}

// weeks counts the pulls of a package.
func (s *Web) weeks(r request, n clyde.Name) (w weeks, err error) {
	const day = 24 * time.Hour
	today := s.o.Now().UTC().Truncate(day)
	first := today.Add(-(shownWeeks*7 - 1) * day)
	days, err := s.o.Catalog.Downloads(r.Context(), r.who, n, first, today, catalog.PeopleByDay)
	if err != nil {
		return w, err
	}
	for _, d := range days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue // a month that was rolled up; it is older
		}
		if i := int(at.Sub(first)/day) / 7; i >= 0 && i < shownWeeks {
			w.Counts[i] += d.Count
			w.Total += d.Count
		}
	}
	return w, nil
}
