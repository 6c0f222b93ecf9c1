package content

// maxCached bounds what the indexes in memory cost together, counted in files
// and kilobytes of readme: about 100 MB of heap.
const maxCached = 400_000

func (x *index) cost() int {
	return 1 + len(x.entries) + len(x.info.Headers)/4 + (len(x.info.Readme)+len(x.info.ReadmeHTML))>>10
}
