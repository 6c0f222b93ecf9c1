package install

import "time"

// SetBounds makes the bounds of a build smaller.
func (o *Options) SetBounds(d time.Duration, log int64) { o.maxTime, o.maxLog = d, log }
