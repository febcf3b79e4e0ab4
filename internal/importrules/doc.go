// Package importrules holds the test that keeps the rooms of Trine apart: which
// package may import which is a table here, and an import that the table does
// not allow fails the tests.
//
// The package has no code of its own.
package importrules
