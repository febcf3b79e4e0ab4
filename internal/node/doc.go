// Package node wires the rooms into one running Trine over one data directory:
//
//	DIR/log/      chunks and the head of the channel   (the database)
//	DIR/kvindex/  Badger; may be removed while stopped (rebuilt from the log)
//	DIR/lake/     Iceberg tables
//	DIR/index/    snapshots of the index, if they are on and the store is local
//	DIR/tmp/      what is being served and need not outlive the process
//	DIR/LOCK      held by the process that serves the directory
//
// It holds no logic of its own beyond the order of starting and stopping, and
// adapts what one room offers to the small interface that another declares.
package node
