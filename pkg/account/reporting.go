package account

import (
	"fmt"
	"time"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// How often an account, and an address, may report by a form. Ours, and the
// API's default too: nobody reads hundreds.
const (
	ReportBurst = 5
	ReportEach  = 12 * time.Minute // one more
)

// MayReport takes one of the reports that by may file, or returns
// clyde.ErrRateLimited.
func (a *Accounts) MayReport(by Principal) error {
	if wait := a.throttle.take(fmt.Sprintf("report:%d", by.Account), ReportBurst, ReportEach, "report:"+network64(by.Addr), ReportBurst, ReportEach); wait > 0 {
		return clyde.Errorf(clyde.ErrRateLimited, "too many reports; the next in %d minutes", int(wait/time.Minute)+1).WithCode("report_throttled")
	}
	return nil
}
