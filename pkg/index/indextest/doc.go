// Package indextest checks that an index.Engine behaves and finds what people
// mean. Every engine runs it:
//
//	func TestEngine(t *testing.T) { indextest.Run(t, func(t *testing.T) index.Engine { … }) }
package indextest
