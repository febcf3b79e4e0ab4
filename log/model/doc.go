// Package model is the ownership protocol of a channel in miniature, to be
// checked by machine: an object store with create-if-absent, compare-and-swap
// of the head and delete; writers that stall, crash and take over from each
// other with several PUTs in flight; requests that get lost, land late, or
// whose answers get lost; a GC; readers; clients that retry. docs/protocol.md
// is the protocol in prose.
//
// What it shows: over millions of random schedules no promise is broken while
// all Rules are on, and each Rule that is needed has a schedule that breaks a
// promise without it. What it does not: random schedules are no proof (the
// folder spec has an exhaustive check at small bounds), chunks hold one write
// each, and damaged objects, lost heads and clocks are outside.
//
// The package zones holds the variant in three zones, explore the machinery
// that both share.
package model
