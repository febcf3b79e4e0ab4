// Package zones is the ownership protocol in miniature for a channel whose
// chunks lie in three zones, and are acknowledged once two of them hold them.
// docs/protocol.md is the protocol in prose. The machinery is that of package
// explore; the head is one object that is changed by compare-and-swap. It moves
// when a take-over records its decision, while its owner serves, and when GC
// raises the floor, below which it deletes in each zone by itself.
//
// The rules are those that were found right. Noted is the set that was noted
// down before anybody checked it, and that loses writes.
package zones
