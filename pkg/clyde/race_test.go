//go:build race

package clyde_test

// raceCost is how many times more the same code allocates under the race
// detector, which keeps values on the heap that otherwise stay off it.
const raceCost = 8
