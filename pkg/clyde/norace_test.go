//go:build !race

package clyde_test

const raceCost = 1
