// Package bench measures Trine: workloads as users have them, in this process,
// on a data directory of their own. `trine bench` is its command line, and
// docs/bench.md tells how to read what it says.
//
// Every figure stands beside a floor: the least that any program would do for
// the same answer, on the same data, measured in the same run, in turns. A
// machine that is shared or slow moves both; the ratio is what holds. Rates are
// of all rounds together; the ratio is the median of the rounds' own, with its
// quartiles, so that a round which the machine spoilt does not count more than
// another.
//
// Every workload is bounded in time by Options.Duration, in memory and in disk
// space, and ends early, with what it has measured, when its context does.
//
// Caveats: server, client and floor share one process and its processors, so
// rates are those of one machine that does all of it. The first round of a
// workload warms up and is not counted, but for Collections.
package bench
